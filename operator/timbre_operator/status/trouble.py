"""What is wrong with a service, the worst first?"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Final

from timbre_contract import labels
from timbre_operator.observed import Observed, OptionalKind
from timbre_operator.status import autoscaling, redis
from timbre_operator.status.component import PodCheck, blamed, server_component
from timbre_operator.status.endings import crashed, engine_failed, oom_killed, over_start_budget, settings_refused
from timbre_operator.status.finding import Check, Finding, Verdict, first_finding, quoted
from timbre_operator.status.images import cannot_pull
from timbre_operator.status.pods import pods_of
from timbre_operator.status.refusals import kind_silent, name_taken, pods_refused, refused, words_refused
from timbre_operator.status.rollout import rollout_of, stuck
from timbre_operator.status.running import not_created, not_mounted, probe_failing, turned_away
from timbre_operator.status.scheduling import unschedulable
from timbre_operator.status.volume import not_grown, of_another_class

_ENDINGS: Final[tuple[PodCheck, ...]] = (oom_killed, over_start_budget, engine_failed, settings_refused, crashed)
_POD_CHECKS: Final[tuple[PodCheck, ...]] = (
    cannot_pull, not_created, unschedulable, not_mounted, *_ENDINGS, probe_failing, turned_away,
)  # fmt: skip
_OBJECTS: Final[tuple[Check, ...]] = (name_taken, pods_refused, not_grown, refused)


@dataclass(frozen=True)
class Trouble:
    """What was found in each part; None where all is well."""

    objects: Finding | None
    """What the API server refuses."""
    pods: Finding | None
    """What keeps the server's pods from serving."""
    rest: Finding | None
    """What they serve without: Redis, references, autoscaler, monitoring."""

    @property
    def worst(self) -> Finding | None:
        """That which is told first."""
        return self.objects or self.pods or self.rest


def trouble_of(observed: Observed, now: datetime, *, redis_verdict: Verdict, autoscaling_verdict: Verdict) -> Trouble:
    """Everything that is wrong."""
    rest = first_finding(observed, (_reference_missing, _voice_refused))
    if rest is None and redis.is_trouble(redis_verdict):
        rest = Finding(f"Redis{redis_verdict.reason}", redis_verdict.message)
    if rest is None and autoscaling.is_trouble(autoscaling_verdict):
        rest = Finding(autoscaling_verdict.reason, autoscaling_verdict.message)
    return Trouble(
        objects=first_finding(observed, _OBJECTS),
        pods=server_pod_trouble(observed, now) or stuck(observed),
        rest=rest
        or redis.redis_ended(observed, now)
        or of_another_class(observed)
        or _monitoring_missing(observed)
        or redis.exporter_trouble(observed, now)
        or words_refused(observed),
    )


def server_pod_trouble(observed: Observed, now: datetime) -> Finding | None:
    """What keeps a pod from serving; of pods that all serve, only how they ended lately."""
    rollout = rollout_of(observed)
    checks = _ENDINGS if rollout is not None and rollout.settled else _POD_CHECKS
    return blamed(pods_of(observed, labels.SERVER_COMPONENT), checks, server_component(observed, now))


def _reference_missing(observed: Observed) -> Finding | None:
    missing = observed.missing_references
    return Finding("ReferenceMissing", "; ".join(missing)) if missing else None


def _voice_refused(observed: Observed) -> Finding | None:
    refused = observed.load.refused_voices if observed.load else ()
    if not refused:
        return None
    return Finding(
        "VoiceRefused",
        f"a voice of spec.voices cannot be enrolled; correct its recording, or take it out: {quoted('; '.join(refused))}",
    )


def _monitoring_missing(observed: Observed) -> Finding | None:
    monitoring = observed.service.spec.monitoring
    wanted = (
        ("podMonitor", monitoring.pod_monitor, OptionalKind.POD_MONITOR),
        ("prometheusRule", monitoring.prometheus_rule, OptionalKind.PROMETHEUS_RULE),
    )
    for field, choice, kind in wanted:
        used = choice == "Enabled" or (choice == "Auto" and kind in observed.kinds)
        if used and (silent := kind_silent(observed, kind)) is not None:
            return silent
        if choice == "Enabled" and kind not in observed.kinds:
            return Finding(
                "KindMissing",
                f"spec.monitoring.{field} is Enabled, and this cluster has no {kind}; install Prometheus' operator, or"
                " write Auto",
            )
    return None
