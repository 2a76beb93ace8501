"""The status as a whole."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from tests.operator.manifests import a_service
from tests.operator.status.states import (
    LONG_AGO,
    NOW,
    APod,
    AState,
    a_deployment,
    a_good_state,
    a_pod,
    a_redis_pod,
    a_state,
    an_hpa,
    condition_of,
)
from timbre_operator.observed import Load, OptionalKind, RedisFacts, RedisProblem
from timbre_operator.status import build_invalid_status, build_status
from timbre_operator.voiceservice.status import AutoscalingStatus, Status

_AWAY = RedisFacts(address="narrator-redis.studio.svc:6379", problem=RedisProblem.UNREACHABLE)
_PULLING = a_pod().waiting("ErrImagePull", "not found")
_EXPORTER_PULLING = (
    a_redis_pod()
    .with_container("exporter", "docker.io/oliver006/redis_exporter:v1.88.0")
    .container(name="exporter", ready=False, state={"waiting": {"reason": "ErrImagePull", "message": "not found"}})
)


def _verdicts(status: Status) -> dict[str, str]:
    return {condition.type: f"{condition.status}/{condition.reason}" for condition in status.conditions or ()}


def test_a_service_that_serves_says_so_in_all_its_conditions() -> None:
    assert _verdicts(a_good_state().status()) == {
        "Ready": "True/Serving",
        "Progressing": "False/Settled",
        "RedisReady": "True/Reachable",
        "CacheWarm": "True/HitRateReached",
        "AutoscalingActive": "True/Scaling",
        "Degraded": "False/AsExpected",
    }


def test_a_service_that_was_just_written_is_starting() -> None:
    assert _verdicts(a_state().status()) == {
        "Ready": "False/Starting",
        "Progressing": "True/Creating",
        "RedisReady": "False/Starting",
        "CacheWarm": "Unknown/NotMeasured",
        "AutoscalingActive": "False/Starting",
        "Degraded": "False/AsExpected",
    }


def test_numbers_and_names_are_reported() -> None:
    autoscaling = AutoscalingStatus(class_="HPA")
    status = build_status(a_good_state().observed(), autoscaling=autoscaling, now=NOW)
    assert (status.replicas, status.ready_replicas, status.desired_replicas) == (3, 3, 3)
    assert (status.queue_depth, status.hit_rate_percent) == (2, 97)
    assert status.endpoint == "http://narrator.studio.svc:8000"
    assert status.selector == (
        "app.kubernetes.io/name=timbre,app.kubernetes.io/instance=narrator,app.kubernetes.io/component=server"
    )
    assert status.autoscaling is autoscaling
    assert status.redis is not None
    assert (status.redis.kind, status.redis.version) == ("Managed", "8.1.8")
    assert status.observed_generation == 1
    assert {condition.observed_generation for condition in status.conditions or ()} == {1}


def test_without_traffic_there_is_no_hit_rate() -> None:
    state = a_good_state().knowing(load=Load())
    assert state.status().hit_rate_percent is None
    assert _verdicts(state.status())["CacheWarm"] == "True/NoTraffic"


def test_an_external_redis_is_called_so() -> None:
    redis = a_good_state(a_service().on_external_redis()).status().redis
    assert redis is not None
    assert redis.kind == "External"


def test_a_condition_keeps_its_time_while_its_status_stays() -> None:
    before = a_good_state().status()
    later = NOW.replace(hour=13)
    status = a_good_state().after(before).knowing(redis=_AWAY).status(later)
    times = {condition.type: condition.last_transition_time for condition in status.conditions or ()}
    assert times == {
        "Ready": "2026-11-30T12:00:00Z",  # its reason changed, its status did not
        "Progressing": "2026-11-30T12:00:00Z",
        "RedisReady": "2026-11-30T13:00:00Z",
        "CacheWarm": "2026-11-30T12:00:00Z",
        "AutoscalingActive": "2026-11-30T12:00:00Z",
        "Degraded": "2026-11-30T13:00:00Z",
    }


def test_the_same_facts_give_the_same_status_at_any_time() -> None:
    before = a_good_state().status()
    assert a_good_state().after(before).status(NOW.replace(day=1, month=12)) == before


def test_the_same_facts_give_the_same_status_while_a_pod_starts() -> None:
    state = a_good_state().having().with_pods(_PULLING)
    assert state.after(state.status()).status(NOW.replace(hour=14)) == state.status()


def test_what_is_wrong_while_it_serves_is_degraded_and_not_unready() -> None:
    status = a_good_state().knowing(redis=_AWAY).status()
    assert _verdicts(status) | {"Ready": "True/Degraded", "Degraded": "True/RedisUnreachable"} == _verdicts(status)
    assert condition_of(status, "Ready").message.startswith(
        "3 of 3 pods serve at http://narrator.studio.svc:8000, but: Redis at narrator-redis.studio.svc:6379 does not answer"
    )


def test_what_keeps_every_pod_from_serving_is_the_reason_of_ready() -> None:
    state = a_state().having(a_deployment().starting(0, of=1)).with_pods(_PULLING)
    assert _verdicts(state.status())["Ready"] == "False/ImagePullFailed"
    assert _verdicts(state.status())["Degraded"] == "True/ImagePullFailed"


def _loaded(state: AState, **changes: Any) -> AState:
    return state.knowing(load=replace(state.observed().load or Load(), **changes))


_WORST_FIRST: list[tuple[str, Callable[[AState], AState]]] = [
    (
        "QuotaExceeded",
        lambda state: state.failing("Deployment", "Forbidden", "exceeded quota: compute, requested: pods=1"),
    ),
    ("ImagePullFailed", lambda state: state.with_pods(_PULLING)),
    (
        "ReferenceMissing",
        lambda state: state.knowing(missing_references=("spec.x names Secret y, which is not there",)),
    ),
    ("VoiceRefused", lambda state: _loaded(state, refused_voices=("voice_ann: this is no audio",))),
    ("RedisUnreachable", lambda state: state.knowing(redis=_AWAY)),
    ("LoadUnknown", lambda state: _loaded(state, held=True, silent_pods=("narrator-1",))),
    ("KindMissing", lambda state: state.knowing(kinds=frozenset())),
    ("ExporterFailing", lambda state: state.with_pods(_EXPORTER_PULLING)),
]


@pytest.mark.parametrize("place", range(len(_WORST_FIRST)), ids=[name for name, _ in _WORST_FIRST])
def test_the_worst_of_all_that_is_wrong_is_told(place: int) -> None:
    service = a_service().with_spec(monitoring={"podMonitor": "Enabled"})
    state = a_state(service).having(a_deployment().rolling_out(1, of=3), an_hpa())
    state = state.with_pods(a_redis_pod()).knowing(kinds=frozenset(OptionalKind))
    for _, going_wrong in _WORST_FIRST[place:]:
        state = going_wrong(state)
    assert state.condition("Degraded").reason == _WORST_FIRST[place][0]


def test_no_pods_are_no_mistake_where_none_were_asked_for() -> None:
    service = a_service().with_spec(replicas=0, autoscaling={"class": "None"})
    ready = a_state(service).having(a_deployment().serving(0)).condition("Ready")
    assert (ready.status, ready.reason) == ("False", "ScaledToZero")
    assert "raise spec.replicas" in ready.message


def test_a_kind_that_is_wanted_and_missing_is_named() -> None:
    service = a_service().with_spec(monitoring={"prometheusRule": "Enabled"})
    degraded = a_good_state(service).knowing(kinds=frozenset({OptionalKind.POD_MONITOR})).condition("Degraded")
    assert degraded.message == (
        "spec.monitoring.prometheusRule is Enabled, and this cluster has no prometheusrules.monitoring.coreos.com; install"
        " Prometheus' operator, or write Auto"
    )


def test_a_kind_that_does_not_answer_is_told_to_who_uses_it_and_to_nobody_else() -> None:
    silent = {OptionalKind.POD_MONITOR: "service unavailable"}
    told = a_good_state().knowing(silent_kinds=silent).condition("Degraded")
    assert told.reason == "APIServerUnavailable"
    assert told.message.startswith(
        "podmonitors.monitoring.coreos.com can be neither read nor written, and stay as they are"
    )
    without = a_service().with_spec(monitoring={"podMonitor": "Disabled"})
    assert a_good_state(without).knowing(silent_kinds=silent).condition("Degraded").status == "False"
    unknown = a_good_state().knowing(kinds=frozenset(), silent_kinds=silent)  # Auto, and never seen
    assert unknown.condition("Degraded").status == "False"


def test_a_voice_that_cannot_be_enrolled_is_named_with_its_mistake() -> None:
    refused = ("voice_ann: this is no audio", "voice_eve: its recording cannot be read: No such file or directory")
    degraded = a_good_state().knowing(load=Load(refused_voices=refused)).condition("Degraded")
    assert degraded.reason == "VoiceRefused"
    assert degraded.message.startswith(
        "a voice of spec.voices cannot be enrolled; correct its recording, or take it out"
    )
    assert degraded.message.endswith(f'"{"; ".join(refused)}"')


@pytest.mark.parametrize(
    ("pods", "words"),
    [
        ([], "the first one is being made"),
        ([a_pod().on("node-7").waiting("ContainerCreating")], "on node node-7 is being made, its image comes"),
        (
            [a_pod().not_ready().container(started=False)],
            "x2x4p loads its model, for which spec.rollout.startBudget gives it 10m",
        ),
    ],
)
def test_a_first_pod_that_is_on_its_way_is_followed(pods: list[APod], words: str) -> None:
    state = a_state().having(a_deployment().starting(0, of=1)).with_pods(*pods)
    ready = state.condition("Ready")
    assert (ready.status, ready.reason) == ("False", "Starting")
    assert ready.message.startswith("no pod serves yet; ")
    assert ready.message.endswith(words)


def test_a_long_message_is_cut() -> None:
    state = a_good_state().knowing(missing_references=("x" * 9000,))
    assert len(state.condition("Degraded").message) == 4096


def test_a_spec_that_cannot_be_read_says_what_is_wrong_and_keeps_what_is_known() -> None:
    before = a_good_state().status()
    manifest = a_good_state().after(before)._service.manifest
    manifest["metadata"]["generation"] = 7
    status = build_invalid_status(manifest, ["spec.engine.name: write one of embedded", "spec.x: no"], NOW)
    assert status.ready_replicas == 3
    assert status.observed_generation == 7
    assert len(status.conditions or ()) == 6
    ready = condition_of(status, "Ready")
    assert (ready.status, ready.reason) == ("False", "InvalidSpec")
    assert ready.message.endswith("spec.engine.name: write one of embedded; spec.x: no")


def test_a_spec_that_cannot_be_read_has_a_status_even_where_the_old_one_cannot_be_read_either() -> None:
    manifest = {"metadata": {"generation": 2}, "status": {"replicas": "many"}}
    status = build_invalid_status(manifest, ["spec: is needed"], NOW)
    assert _verdicts(status) == {"Ready": "False/InvalidSpec"}
    assert build_invalid_status({"metadata": {}}, [], NOW).observed_generation == 0


def test_an_invalid_spec_keeps_the_time_when_it_became_invalid() -> None:
    first = build_invalid_status({"metadata": {"generation": 2}}, ["a"], NOW)
    written = first.model_dump(mode="json", by_alias=True, exclude_none=True)
    again = build_invalid_status({"metadata": {"generation": 2}, "status": written}, ["a"], NOW.replace(hour=13))
    assert again == first


def test_a_crash_is_told_for_ten_minutes_after_the_pod_is_back() -> None:
    crashed = a_pod().ended(139).running_again()
    state = a_good_state().knowing(pods=()).with_pods(crashed)
    assert _verdicts(state.status())["Degraded"] == "True/Crashed"
    old = a_pod().ended(139, at=LONG_AGO).running_again()
    state = a_good_state().knowing(pods=()).with_pods(old)
    assert _verdicts(state.status())["Degraded"] == "False/AsExpected"


def test_what_was_never_heard_is_no_number() -> None:
    unheard = Load(measured=False, held=True, silent_pods=("narrator-1",))
    status = a_good_state().knowing(load=unheard).status()
    assert status.queue_depth is None
    assert a_good_state().knowing(load=unheard).condition("CacheWarm").reason == "NotMeasured"
