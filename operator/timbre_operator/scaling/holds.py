"""What keeps the number of pods from what the load asks for?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from timbre_operator.observed import Observed
from timbre_operator.scaling.causes import Cause, Reason
from timbre_operator.scaling.proposals import Asked
from timbre_operator.scaling.silence import HOLD_SECONDS


def hold(observed: Observed, asked: Sequence[Asked], replicas: int) -> Cause | None:
    """None where nothing does: the number is as asked for, or will be at the autoscaler's next look."""
    wanted = max(item.replicas for item in asked)
    if (blind := _blind(observed)) is not None:
        return blind
    if wanted > replicas:
        return _from_above(observed, wanted, replicas)
    return _from_below(observed, wanted, replicas) if wanted < replicas else None


def _blind(observed: Observed) -> Cause | None:
    load = observed.load
    if load is not None and load.held:
        silent = ", ".join(load.silent_pods)
        return Cause(
            Reason.STALE,
            f"{silent} do not answer, so the load is held and nothing is scaled down for at most {HOLD_SECONDS:.0f} s",
        )
    condition = _conditions(observed).get("ScalingActive")
    if condition and condition.get("status") == "False" and condition.get("reason") != "ScalingDisabled":
        why = observed.metrics_api or str(condition.get("message", "")) or "it does not say why"
        return Cause(Reason.UNREADABLE, f"the autoscaler cannot read the series: {why}")
    return None


def _from_above(observed: Observed, wanted: int, replicas: int) -> Cause | None:
    most = observed.service.spec.autoscaling.max_replicas
    if replicas >= most:
        return Cause(Reason.BOUNDS, f"maxReplicas {most} keeps it from {wanted}")
    if _limited(observed, "ScaleUpLimit"):
        return Cause(Reason.BEHAVIOR, f"the policies of behavior.scaleUp keep it from {wanted} for now")
    return None


def _from_below(observed: Observed, wanted: int, replicas: int) -> Cause | None:
    if replicas <= observed.service.spec.autoscaling.min_replicas:
        return None
    if _conditions(observed).get("AbleToScale", {}).get("reason") == "ScaleDownStabilized":
        return Cause(Reason.STABILIZATION, f"a while ago more pods were asked for, so {wanted} come when that is past")
    if _limited(observed, "ScaleDownLimit"):
        return Cause(Reason.BEHAVIOR, f"the policies of behavior.scaleDown keep it from {wanted} for now")
    return None


def _limited(observed: Observed, reason: str) -> bool:
    condition = _conditions(observed).get("ScalingLimited", {})
    return condition.get("status") == "True" and condition.get("reason") == reason


def _conditions(observed: Observed) -> Mapping[str, Mapping[str, Any]]:
    """Of our HPA; KEDA's own is not among our children."""
    autoscaler = observed.child("HorizontalPodAutoscaler")
    conditions = ((autoscaler or {}).get("status") or {}).get("conditions") or ()
    return {str(condition["type"]): condition for condition in conditions}
