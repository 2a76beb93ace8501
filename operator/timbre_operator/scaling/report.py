"""Why are there this many pods, and why not more or fewer?

The newest five decisions are kept: each move of the number, however many steps it took, and between two moves at most one word
about what holds the number back.  A decision is written down once; while nothing new is decided, the report stays the same.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final

from timbre_contract import labels
from timbre_operator.observed import Load, Observed
from timbre_operator.scaling import causes
from timbre_operator.scaling.causes import Cause, Reason
from timbre_operator.scaling.holds import hold
from timbre_operator.scaling.proposals import Asked, asked, targets_of
from timbre_operator.voiceservice.measures import quantity
from timbre_operator.voiceservice.status import AutoscalingStatus, Decision, Proposal

KEPT: Final = 5
"""Decisions that are reported: the bound of the CRD."""
MOVE_SECONDS: Final = 300.0
"""Steps in one direction and for one reason that follow each other within this time are one move: downwards ours are 120 s apart,
and ten of them would leave no room for what had brought the pods."""
_PACE: Final = (Reason.STABILIZATION, Reason.BEHAVIOR)
"""What holds a move between its steps."""
NOISE: Final = 0.1
"""A value is reported anew from this change on, in parts of itself or of a pod's target: the tolerance of the autoscaler."""


def report(previous: AutoscalingStatus | None, observed: Observed, now: datetime) -> AutoscalingStatus:
    """Inputs and decisions as they are now, the ones that were reported before among them."""
    autoscaling = observed.service.spec.autoscaling
    if autoscaling.class_ == "None":
        return AutoscalingStatus(class_="None")
    before = previous or AutoscalingStatus(class_=autoscaling.class_)
    load, replicas = observed.load, _replicas(observed)
    if load is None or not load.measured or replicas is None:
        return before.model_copy(update={"class_": autoscaling.class_})
    now_asked = _asked(observed, load, replicas)
    return AutoscalingStatus(
        class_=autoscaling.class_,
        inputs=tuple(_steady(item, before.inputs or ()) for item in now_asked),
        decisions=_decisions(before.decisions or (), _Moment(observed, load, replicas, now_asked, now)) or None,
    )


@dataclass(frozen=True)
class _Moment:
    """All that a decision is explained with."""

    observed: Observed
    load: Load
    replicas: int
    """Pods that shall be: what the autoscaler, or somebody, decided."""
    asked: Sequence[Asked]
    now: datetime

    def decision(self, pods_before: int, cause: Cause, proposals: Sequence[Asked] | None = None) -> Decision:
        return Decision(
            time=self.now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            from_=pods_before,
            to=self.replicas,
            reason=cause.reason,
            message=cause.message,
            proposals=tuple(item.to_proposal() for item in (proposals or self.asked)),
        )


def _decisions(before: Sequence[Decision], moment: _Moment) -> tuple[Decision, ...]:
    if not before:
        return (moment.decision(0, Cause(Reason.STARTED, f"there are to be {moment.replicas} pods")),)
    newest = before[0]
    if newest.to != moment.replicas:
        return _moved(_change(newest.to, moment), before)[:KEPT]
    held = hold(moment.observed, moment.asked, moment.replicas)
    if held is None or (newest.from_ == newest.to and newest.reason == held.reason):
        return tuple(before)
    others = before[1:] if newest.from_ == newest.to else before
    return (moment.decision(moment.replicas, held), *others)[:KEPT]


def _moved(step: Decision, before: Sequence[Decision]) -> tuple[Decision, ...]:
    """The step as one of its own, or as the last one of a move that has begun."""
    moves = before[1:] if before[0].from_ == before[0].to and before[0].reason in _PACE else before
    if not moves or moves[0].reason != step.reason or (moves[0].to > moves[0].from_) != (step.to > step.from_):
        return step, *before
    elapsed = datetime.fromisoformat(step.time) - datetime.fromisoformat(moves[0].time)
    if moves[0].from_ == moves[0].to or elapsed.total_seconds() > MOVE_SECONDS:
        return step, *before
    return step.model_copy(update={"from_": moves[0].from_}), *moves[1:]


def _change(pods_before: int, moment: _Moment) -> Decision:
    """The number has changed: why?"""
    scaling, replicas = moment.observed.service.spec.autoscaling, moment.replicas
    peaks = _asked(moment.observed, moment.load, pods_before, peak=True) if replicas > pods_before else moment.asked
    wanted = max(item.replicas for item in peaks)
    if scaling.class_ == "External":
        cause = Cause(Reason.SOMEBODY, f"somebody else's autoscaler; the load asks for {wanted}")
    elif replicas > pods_before and wanted > pods_before:
        cause = causes.demand(peaks, moment.load)
    elif replicas < pods_before and wanted < pods_before:
        cause = causes.relief(peaks)
    elif replicas in (scaling.min_replicas, scaling.max_replicas):
        cause = Cause(Reason.BOUNDS, f"the bounds are {scaling.min_replicas} to {scaling.max_replicas} pods")
    else:
        cause = Cause(Reason.SOMEBODY, f"somebody set the number; the load asks for {wanted}")
    held = hold(moment.observed, peaks, replicas) if cause.reason is not Reason.SOMEBODY else None
    if held is not None and held.reason is not cause.reason:
        cause = Cause(cause.reason, f"{cause.message}. {held.message}")
    return moment.decision(pods_before, cause, peaks)


def _asked(observed: Observed, load: Load, replicas: int, *, peak: bool = False) -> list[Asked]:
    values = {
        labels.QUEUE_DEPTH_SERIES: max(load.queue_depth, load.trend.queue_peak if peak else 0.0),
        labels.WORK_SECONDS_SERIES: load.work_seconds,
    }
    return [asked(series, values[series], target, replicas) for series, target in targets_of(observed.service).items()]


def _steady(item: Asked, before: Sequence[Proposal]) -> Proposal:
    """As it was reported before, unless it changed by more than noise: a status is written to be read."""
    old = next((proposal for proposal in before if proposal.series == item.series), None)
    if old is None or old.replicas != item.replicas:
        return item.to_proposal()
    value = float(quantity(old.value))
    if bool(value) != bool(item.value) or abs(item.value - value) > NOISE * max(value, float(item.target)):
        return item.to_proposal()
    return old


def _replicas(observed: Observed) -> int | None:
    deployment: Any = observed.child("Deployment")
    return None if deployment is None else int(deployment["spec"].get("replicas", 1))
