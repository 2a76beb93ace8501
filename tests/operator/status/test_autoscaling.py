"""Does the autoscaler work?  What an HPA and KEDA say of themselves, explained."""

from __future__ import annotations

from datetime import timedelta

import pytest

from tests.operator.manifests import AService, a_service
from tests.operator.status.states import NOW, AState, Built, a_good_state, an_hpa, an_object
from timbre_operator.observed import METRICS_API_DISABLED, Load, OptionalKind
from timbre_operator.voiceservice.status import Condition

_KEDA = a_service().scaled_by("KEDA")


def _active(state: AState) -> Condition:
    return state.condition("AutoscalingActive")


def _with(autoscaler: Built, service: AService | None = None) -> AState:
    others = [found for found in a_good_state().observed().found if found["kind"] != "HorizontalPodAutoscaler"]
    return a_good_state(service).knowing(found=others).having(autoscaler)


def _hpa(kind: str, status: str, reason: str, words: str = "") -> Built:
    bare = an_object("HorizontalPodAutoscaler")
    return bare.with_condition(kind, status, reason, words)


def test_an_hpa_that_works_names_its_bounds() -> None:
    active = _active(a_good_state(a_service().scaled_by("HPA", minReplicas=2, maxReplicas=7)))
    assert (active.status, active.reason) == ("True", "Scaling")
    assert active.message == "HorizontalPodAutoscaler narrator sets the number, 2 to 7 pods"


def test_an_hpa_that_has_not_looked_yet_is_starting() -> None:
    active = _active(_with(an_object("HorizontalPodAutoscaler")))
    assert (active.status, active.reason) == ("False", "Starting")
    assert _with(an_object("HorizontalPodAutoscaler")).condition("Degraded").status == "False"


def _made(seconds_ago: int) -> Built:
    hpa = _hpa("ScalingActive", "False", "FailedGetObjectMetric", _UNREAD)
    made = (NOW - timedelta(seconds=seconds_ago)).isoformat()
    return hpa.changed(lambda manifest: manifest["metadata"].update(creationTimestamp=made))


def test_an_hpa_that_asked_before_anybody_looked_waits_and_nothing_is_wrong() -> None:
    for state in (_with(_made(seconds_ago=20)), _with(_made(seconds_ago=600)).knowing(load=None)):
        assert (_active(state).status, _active(state).reason) == ("False", "Starting")
        assert "waits for the first look at the pods" in _active(state).message
        assert state.condition("Degraded").status == "False"


def test_an_hpa_that_reads_nothing_for_longer_is_in_trouble() -> None:
    assert _active(_with(_made(seconds_ago=60))).reason == "FailedGetObjectMetric"


def test_an_hpa_that_reads_nothing_because_no_pod_was_ever_heard_says_so() -> None:
    unheard = Load(measured=False, held=True, silent_pods=("narrator-1",))
    for seconds_ago in (20, 600):
        assert _active(_with(_made(seconds_ago)).knowing(load=unheard)).reason == "LoadUnknown"


_UNREAD = (
    "the HPA was unable to compute the replica count: unable to get metric timbre_queue_depth: VoiceService on studio"
    " narrator/unable to fetch metrics from custom metrics API: the server could not find the requested resource"
)


def test_an_hpa_that_reads_no_series_is_told_why() -> None:
    state = _with(_hpa("ScalingActive", "False", "FailedGetObjectMetric", _UNREAD))
    assert _active(state).reason == "FailedGetObjectMetric"
    assert "kubectl get apiservice" in _active(state).message
    assert _UNREAD in _active(state).message
    assert state.condition("Degraded").reason == "FailedGetObjectMetric"


def test_a_metrics_api_that_was_not_installed_is_the_reason() -> None:
    state = _with(_hpa("ScalingActive", "False", "FailedGetObjectMetric", _UNREAD))
    active = _active(state.knowing(metrics_api=METRICS_API_DISABLED))
    assert active.reason == "MetricsUnreadable"
    assert "install the chart with metricsApi.enabled=true" in active.message


def test_a_metrics_api_of_somebody_else_is_the_reason() -> None:
    why = "v1beta2.custom.metrics.k8s.io belongs to Service monitoring/prometheus-adapter"
    active = _active(_with(an_object("HorizontalPodAutoscaler")).knowing(metrics_api=why))
    assert active.reason == "MetricsUnreadable"
    assert f"because {why}; see kubectl get apiservice" in active.message


def test_an_hpa_that_reads_its_series_some_other_way_works() -> None:
    assert _active(a_good_state().knowing(metrics_api=METRICS_API_DISABLED)).status == "True"


def test_an_hpa_that_was_stopped_by_hand_says_how_to_start_it() -> None:
    words = "scaling is disabled since the replica count of the target is zero"
    active = _active(_with(_hpa("ScalingActive", "False", "ScalingDisabled", words)))
    assert active.reason == "ScaledToZero"
    assert "kubectl -n studio scale deployment narrator --replicas=1" in active.message


def test_an_hpa_that_cannot_scale_is_quoted() -> None:
    words = 'the HPA controller was unable to get the target\'s current scale: deployments.apps "narrator" not found'
    active = _active(_with(_hpa("AbleToScale", "False", "FailedGetScale", words)))
    assert active.reason == "FailedGetScale"
    assert words in active.message


@pytest.mark.parametrize(
    ("limit", "reason", "words"),
    [
        ("TooManyReplicas", "AtMaximum", "more than maxReplicas 5; raise it where nodes are free"),
        ("TooFewReplicas", "AtMinimum", "no more than minReplicas 1"),
        ("ScaleUpLimit", "Scaling", "sets the number, 1 to 5 pods"),
    ],
)
def test_an_hpa_at_its_bound_says_which(limit: str, reason: str, words: str) -> None:
    active = _active(_with(an_hpa().with_condition("ScalingLimited", "True", limit)))
    assert (active.status, active.reason) == ("True", reason)
    assert words in active.message


def test_an_hpa_within_its_bounds_is_scaling() -> None:
    assert _active(_with(an_hpa().with_condition("ScalingLimited", "False", "DesiredWithinRange"))).reason == "Scaling"


def test_pods_that_cannot_be_asked_are_named() -> None:
    state = a_good_state().knowing(load=Load(held=True, silent_pods=("narrator-1", "narrator-2")))
    assert _active(state).reason == "LoadUnknown"
    assert "the admin port of narrator-1, narrator-2 does not answer" in _active(state).message


def test_a_pod_that_is_silent_while_the_totals_are_fresh_is_no_trouble() -> None:
    assert _active(a_good_state().knowing(load=Load(silent_pods=("narrator-1",)))).status == "True"


def test_without_an_autoscaler_the_spec_decides_and_nothing_is_wrong() -> None:
    state = a_good_state(a_service().scaled_by("None"))
    assert (_active(state).status, _active(state).reason) == ("False", "Disabled")
    assert state.condition("Degraded").status == "False"


def test_somebody_elses_autoscaler_is_not_judged() -> None:
    assert _active(a_good_state(a_service().scaled_by("External"))).status == "Unknown"


def test_keda_that_is_missing_is_told() -> None:
    active = _active(a_good_state(_KEDA).knowing(kinds=frozenset()))
    assert active.reason == "KindMissing"
    assert "this cluster has no scaledobjects.keda.sh; install KEDA, or write HPA" in active.message


def test_keda_that_does_not_answer_is_not_taken_for_missing() -> None:
    silent = {OptionalKind.SCALED_OBJECT: "service unavailable"}
    for kinds in (frozenset[OptionalKind](), frozenset(OptionalKind)):
        active = _active(a_good_state(_KEDA).knowing(kinds=kinds, silent_kinds=silent))
        assert active.reason == "APIServerUnavailable"
        assert 'see kubectl get apiservice: "service unavailable"' in active.message


_SCALED = an_object("ScaledObject").with_condition("Ready", "True", "ScaledObjectReady")


def test_keda_that_works_names_its_bounds() -> None:
    active = _active(_with(_SCALED, _KEDA))
    assert active.message == "ScaledObject narrator sets the number, 1 to 5 pods"


@pytest.mark.parametrize(
    ("kind", "status", "reason"),
    [("Fallback", "True", "FallbackActive"), ("Paused", "True", "Paused"), ("Active", "False", "Scaling")],
)
def test_what_keda_says_is_explained(kind: str, status: str, reason: str) -> None:
    assert _active(_with(_SCALED.with_condition(kind, status, "x"), _KEDA)).reason == reason


def test_a_scaled_object_that_keda_refuses_is_quoted() -> None:
    words = "the workload 'narrator' of type 'apps/v1.Deployment' is already managed by the hpa 'mine'"
    refused = an_object("ScaledObject").with_condition("Ready", "False", "ScaledObjectCheckFailed", words)
    active = _active(_with(refused, _KEDA))
    assert active.reason == "ScaledObjectFailed"
    assert words in active.message


def test_an_hpa_of_somebody_else_is_not_ours_to_judge() -> None:
    foreign = _hpa("ScalingActive", "False", "FailedGetObjectMetric").owned_by()
    assert _active(_with(foreign)).reason == "Starting"
