"""Whose pods are judged, and which of the user's fields would help them?"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from timbre_operator.observed import Observed
from timbre_operator.status.finding import Finding
from timbre_operator.status.pods import Pod


@dataclass(frozen=True, kw_only=True)
class Component:
    """The server, or the managed Redis."""

    namespace: str
    now: datetime
    image_field: str
    """Where its image is written."""
    login: str
    """How its pods log in at a registry."""
    memory_cure: str
    """What helps when it was killed for memory."""
    start_cure: str
    """What helps when it was not ready in time."""
    gpu_cure: str = ""
    """What helps beside a free GPU."""

    def logs(self, pod: str, container: str, *, previous: bool = True) -> str:
        """The command that shows more."""
        return f"kubectl -n {self.namespace} logs {pod} -c {container}{' --previous' if previous else ''}"


PodCheck = Callable[[Pod, Component], Finding | None]


def blamed(pods: Iterable[Pod], checks: Iterable[PodCheck], component: Component) -> Finding | None:
    """The first finding, check by check; it names one pod and counts the others that suffer from the same."""
    everyone = tuple(pods)
    for check in checks:
        findings = [finding for pod in everyone if (finding := check(pod, component)) is not None]
        if findings:
            same = sum(finding.reason == findings[0].reason for finding in findings) - 1
            others = f" (and {same} more {'pods' if same > 1 else 'pod'})" if same else ""
            return Finding(findings[0].reason, findings[0].message + others)
    return None


def server_component(observed: Observed, now: datetime) -> Component:
    """The service's own pods."""
    spec = observed.service.spec
    replacing = spec.rollout.strategy == "Replace"
    return Component(
        namespace=observed.service.namespace,
        now=now,
        image_field="spec.image",
        login="imagePullSecrets in spec.podTemplate.spec",
        memory_cure=(
            f"raise spec.resources.limits.memory, or lower spec.voiceCache.host.maxBytes (now {spec.voice_cache.host.max_bytes})"
            f" or spec.resultCache.host.maxBytes (now {spec.result_cache.host.max_bytes})"
        ),
        start_cure=f"raise spec.rollout.startBudget (now {spec.rollout.start_budget}), or see what it waits for",
        gpu_cure="" if replacing else ", or write spec.rollout.strategy: Replace, so that an old pod leaves first",
    )


def redis_component(observed: Observed, now: datetime) -> Component:
    """The pod of the managed Redis."""
    managed = observed.service.managed_redis
    return Component(
        namespace=observed.service.namespace,
        now=now,
        image_field="the operator's settings (redis and exporter image of the chart)",
        # No field of the spec reaches this pod; who edits the ServiceAccount helps those pods only that are made afterwards.
        login=f"imagePullSecrets of ServiceAccount {observed.service.namespace}/default, and delete the pod",
        memory_cure=f"raise spec.redis.managed.maxMemory (now {managed.memory if managed else 'none'})",
        start_cure="see what it waits for",
    )
