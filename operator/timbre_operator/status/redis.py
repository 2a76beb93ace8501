"""Is the Redis there, and may voices be trusted to it?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Final

from timbre_contract import labels
from timbre_operator.observed import Observed, RedisFacts, RedisProblem
from timbre_operator.status.component import PodCheck, blamed, redis_component
from timbre_operator.status.endings import crashed, oom_killed
from timbre_operator.status.finding import Finding, Verdict
from timbre_operator.status.images import cannot_pull
from timbre_operator.status.pods import Container, Pod, pods_of
from timbre_operator.status.redis_cures import told
from timbre_operator.status.running import not_created, not_mounted, probe_failing, turned_away
from timbre_operator.status.scheduling import unschedulable
from timbre_operator.status.volume import claim_pending
from timbre_operator.voiceservice.names import EXPORTER_CONTAINER, REDIS_SUFFIX

STARTING: Final = "Starting"
_POD_CHECKS: Final[tuple[PodCheck, ...]] = (
    cannot_pull, not_created, unschedulable, not_mounted, oom_killed, crashed, probe_failing, turned_away,
)  # fmt: skip
_HEALING: Final = {STARTING, RedisProblem.LOADING.value}
"""Reasons against which only time helps."""
_SPEAKING: Final = {RedisProblem.SECRET_MISSING, RedisProblem.DISK_WRITE_FAILED}
"""Problems that say more than what they do to the pod: with a disk that fails Redis refuses the probes' PING too."""


def redis_ready(observed: Observed, now: datetime) -> Verdict:
    """The condition RedisReady."""
    facts = observed.redis
    if facts is not None and facts.problem is None:
        return Verdict("True", "Reachable", _reachable(facts))
    if facts is not None and facts.problem is not None and facts.problem in _SPEAKING:
        return Verdict.false(told(facts, facts.problem, observed.service))
    # What the claim is told says more than the scheduler, which only sees that it is not bound.
    if found := claim_pending(observed) or redis_pod_trouble(observed, now):
        return Verdict.false(found)
    if _starting(observed):
        return Verdict("False", STARTING, f"pod {observed.service.name}{REDIS_SUFFIX}-0 is starting")
    if facts is None or facts.problem is None:
        return Verdict("Unknown", "NotAskedYet", "Redis was not asked yet")
    return Verdict.false(told(facts, facts.problem, observed.service))


def is_trouble(verdict: Verdict) -> bool:
    """Whether somebody has to do something."""
    return verdict.status == "False" and verdict.reason not in _HEALING


def redis_pod_trouble(observed: Observed, now: datetime) -> Finding | None:
    """What keeps the managed Redis from running."""
    pods = [pod for pod in _pods(observed, lambda container: container.name != EXPORTER_CONTAINER) if not _serves(pod)]
    return blamed(pods, _POD_CHECKS, redis_component(observed, now))


def redis_ended(observed: Observed, now: datetime) -> Finding | None:
    """Why it ended a short while ago, though it runs again."""
    pods = [pod for pod in _pods(observed, lambda container: container.name != EXPORTER_CONTAINER) if _serves(pod)]
    found = blamed(pods, (oom_killed, crashed), redis_component(observed, now))
    return Finding(f"Redis{found.reason}", found.message) if found else None


def exporter_trouble(observed: Observed, now: datetime) -> Finding | None:
    """What keeps its exporter from running, while Redis runs."""
    pods = [pod for pod in _pods(observed, lambda container: container.name == EXPORTER_CONTAINER) if not _serves(pod)]
    found = blamed(pods, (cannot_pull, not_created, oom_killed, crashed), redis_component(observed, now))
    if found is None:
        return None
    return Finding("ExporterFailing", f"{found.message}; or write spec.redis.managed.exporter: Disabled")


def _reachable(facts: RedisFacts) -> str:
    keeps = f"{f'Redis {facts.version}'.strip()} at {facts.address} keeps the voices"
    if facts.appends is not False:
        return keeps
    return f"{keeps}, without an append-only file: a restart drops those that no snapshot and no replica of it has"


def _starting(observed: Observed) -> bool:
    """Whether the managed Redis' pod has not served since it was made, or is not made yet."""
    return observed.service.managed_redis is not None and not any(
        _serves(pod) for pod in _pods(observed, lambda container: container.name != EXPORTER_CONTAINER)
    )


def _pods(observed: Observed, wanted: Callable[[Container], bool]) -> list[Pod]:
    if observed.service.managed_redis is None:
        return []
    return [
        replace(pod, containers=tuple(container for container in pod.containers if wanted(container)))
        for pod in pods_of(observed, labels.REDIS_COMPONENT)
    ]


def _serves(pod: Pod) -> bool:
    return bool(pod.containers) and all(container.ready for container in pod.containers)
