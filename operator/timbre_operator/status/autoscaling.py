"""Does the autoscaler work, and what holds it back?"""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from timbre_operator.observed import METRICS_API_DISABLED, Manifest, Observed, OptionalKind
from timbre_operator.status.finding import Finding, Verdict, first_finding, quoted
from timbre_operator.status.pods import conditions_of, moment
from timbre_operator.status.refusals import kind_silent

_QUIET: Final = {"Disabled", "Starting"}
"""Reasons for which nobody has to do anything."""
_NEW: Final = timedelta(seconds=45)
"""Of an HPA: two of its looks, 15 s apart, of which the first came before our two looks at the pods, and as much again for a
busy cluster."""
_ADAPTER: Final = (
    "install the chart with metricsApi.enabled=true, or let prometheus-adapter serve the series (docs/autoscaling.md)"
)


def autoscaling_active(observed: Observed, now: datetime) -> Verdict:
    """The condition AutoscalingActive."""
    scaling = observed.service.spec.autoscaling
    bounds = f"{scaling.min_replicas} to {scaling.max_replicas} pods"
    match scaling.class_:
        case "None":
            return Verdict(
                "False", "Disabled", "spec.replicas is the number of pods; write autoscaling.class: HPA for more"
            )
        case "External":
            return Verdict("Unknown", "External", "somebody else's autoscaler sets the number of pods")
        case "KEDA":
            found = first_finding(observed, (_no_keda, _load_held, _scaled_object_fails))
            name = f"ScaledObject {observed.service.name}"
        case "HPA":
            name = f"HorizontalPodAutoscaler {observed.service.name}"
            if _waits_for_the_first_look(observed, now):
                return Verdict("False", "Starting", f"{name} waits for the first look at the pods")
            found = first_finding(observed, (_hpa_fails, _load_held))
    if found is not None:
        return Verdict.false(found)
    if _judge(observed) is None:
        return Verdict("False", "Starting", f"{name} has not looked at the pods yet")
    return _at_a_bound(observed) or Verdict("True", "Scaling", f"{name} sets the number, {bounds}")


def is_trouble(verdict: Verdict) -> bool:
    """Whether somebody has to do something."""
    return verdict.status == "False" and verdict.reason not in _QUIET


def _judge(observed: Observed) -> Manifest | None:
    """The autoscaler, once it has said something."""
    kind = "ScaledObject" if observed.service.spec.autoscaling.class_ == "KEDA" else "HorizontalPodAutoscaler"
    autoscaler = observed.child(kind)
    return autoscaler if autoscaler is not None and conditions_of(autoscaler) else None


def _waits_for_the_first_look(observed: Observed, now: datetime) -> bool:
    """Whether it asked for a series before there was one, and nothing else is wrong."""
    autoscaler = _judge(observed)
    if autoscaler is None or observed.metrics_api:
        return False
    active = conditions_of(autoscaler).get("ScalingActive") or {}
    if active.get("status") != "False" or not str(active.get("reason")).endswith("Metric"):
        return False
    made = moment(autoscaler["metadata"].get("creationTimestamp"))
    return observed.load is None or (made is not None and now - made < _NEW and not observed.load.held)


def _no_keda(observed: Observed) -> Finding | None:
    if (silent := kind_silent(observed, OptionalKind.SCALED_OBJECT)) is not None:
        return silent
    if OptionalKind.SCALED_OBJECT in observed.kinds:
        return None
    return Finding(
        "KindMissing",
        f"spec.autoscaling.class is KEDA, and this cluster has no {OptionalKind.SCALED_OBJECT}; install KEDA, or write HPA",
    )


def _load_held(observed: Observed) -> Finding | None:
    load = observed.load
    if load is None or not load.held:
        return None
    silent = ", ".join(load.silent_pods)
    return Finding(
        "LoadUnknown",
        f"the admin port of {silent} does not answer, so the load is an old one and nothing is scaled down; let the"
        " operator's namespace through NetworkPolicies to port 9000, or look at the pod's log",
    )


def _hpa_fails(observed: Observed) -> Finding | None:
    autoscaler = _judge(observed)
    conditions = conditions_of(autoscaler) if autoscaler else {}
    for kind in ("AbleToScale", "ScalingActive"):
        condition = conditions.get(kind) or {}
        if condition.get("status") == "False":
            return _hpa_condition(str(condition.get("reason")), str(condition.get("message", "")), observed)
    if observed.metrics_api and "ScalingActive" not in conditions:
        return _no_metrics(observed.metrics_api)
    return None


def _hpa_condition(reason: str, words: str, observed: Observed) -> Finding | None:
    if reason == "ScalingDisabled":
        return Finding(
            "ScaledToZero",
            f"Deployment {observed.service.name} was set to 0 pods by hand, which stops its autoscaler; kubectl -n"
            f" {observed.service.namespace} scale deployment {observed.service.name} --replicas=1 starts it again",
        )
    if observed.metrics_api and reason.endswith("Metric"):
        return _no_metrics(observed.metrics_api)
    if reason.endswith("Metric") and (unheard := _load_held(observed)) is not None:
        return unheard
    if reason.endswith("Metric"):
        return Finding(reason, f"the autoscaler cannot read a series; see kubectl get apiservice: {quoted(words)}")
    return Finding(reason or "ScalingFailed", f"the autoscaler does not get through: {quoted(words)}")


def _no_metrics(why: str) -> Finding:
    cure = _ADAPTER if why == METRICS_API_DISABLED else "see kubectl get apiservice v1beta2.custom.metrics.k8s.io"
    return Finding("MetricsUnreadable", f"the autoscaler cannot read its series, because {why}; {cure}")


def _scaled_object_fails(observed: Observed) -> Finding | None:
    autoscaler = _judge(observed)
    conditions = conditions_of(autoscaler) if autoscaler else {}
    ready, fallback, paused = (conditions.get(kind) or {} for kind in ("Ready", "Fallback", "Paused"))
    if ready.get("status") == "False":
        return Finding("ScaledObjectFailed", f"KEDA does not scale; it says: {quoted(str(ready.get('message', '')))}")
    if fallback.get("status") == "True":
        return Finding(
            "FallbackActive",
            "KEDA cannot read the series and holds the pods; look at the operator's Service and its log",
        )
    if paused.get("status") == "True":
        return Finding("Paused", f"ScaledObject {observed.service.name} is paused; remove its annotation to go on")
    return None


def _at_a_bound(observed: Observed) -> Verdict | None:
    autoscaler = _judge(observed)
    limited = conditions_of(autoscaler).get("ScalingLimited") if autoscaler else None
    if not limited or limited.get("status") != "True":
        return None
    scaling = observed.service.spec.autoscaling
    if limited.get("reason") == "TooManyReplicas":
        words = f"the load asks for more than maxReplicas {scaling.max_replicas}; raise it where nodes are free"
        return Verdict("True", "AtMaximum", words)
    if limited.get("reason") == "TooFewReplicas":
        return Verdict("True", "AtMinimum", f"the load asks for no more than minReplicas {scaling.min_replicas}")
    return None
