"""What a running Redis is told, and when it is left alone."""

from __future__ import annotations

from dataclasses import replace

import pytest

from tests.operator.manifests import AService, a_service
from tests.operator.status.states import FIT, APod, AState, Built, a_pod, a_redis_pod, a_state, an_object
from timbre_contract import labels
from timbre_operator.desired.redis_tuning import redis_tuning
from timbre_operator.observed import RedisFacts, RedisProblem


def _stamped(built: Built, checksum: str) -> Built:
    return built.changed(
        lambda manifest: manifest["metadata"].update(annotations={labels.CONFIG_CHECKSUM_ANNOTATION: checksum})
    )


def _pod(checksum: str = "new") -> APod:
    stamped = _stamped(a_redis_pod(), checksum)
    assert isinstance(stamped, APod)
    return stamped


def _set(checksum: str = "new") -> Built:
    template = {"metadata": {"annotations": {labels.CONFIG_CHECKSUM_ANNOTATION: checksum}}}
    return an_object("StatefulSet", "narrator-redis", spec={"template": template})


def _state(facts: RedisFacts | None, service: AService | None = None) -> AState:
    return a_state(service).having(_set()).with_pods(_pod(), a_pod()).knowing(redis=facts)


def test_a_redis_as_it_should_be_is_left_alone() -> None:
    assert redis_tuning(_state(FIT).observed()) == {}


def test_a_policy_that_somebody_changed_is_set_back() -> None:
    changed = replace(FIT, policy="allkeys-lru", problem=RedisProblem.POLICY_EVICTS_VOICES)
    assert redis_tuning(_state(changed).observed()) == {"maxmemory-policy": "volatile-lru"}


def test_a_policy_is_set_back_while_the_disk_fails() -> None:
    changed = replace(FIT, policy="allkeys-lru", problem=RedisProblem.DISK_WRITE_FAILED)
    assert redis_tuning(_state(changed).observed()) == {"maxmemory-policy": "volatile-lru"}


@pytest.mark.parametrize("problem", [RedisProblem.APPEND_ONLY_OFF, RedisProblem.FULL])
def test_a_file_that_somebody_turned_off_is_turned_on(problem: RedisProblem) -> None:
    assert redis_tuning(_state(replace(FIT, appends=False, problem=problem)).observed()) == {"appendonly": "yes"}


@pytest.mark.parametrize("appends", [True, None])
def test_a_file_that_is_on_or_that_nobody_tells_of_is_left_alone(*, appends: bool | None) -> None:
    assert redis_tuning(_state(replace(FIT, appends=appends)).observed()) == {}


@pytest.mark.parametrize("max_bytes", [0, 1 << 20, 8 << 30])
def test_memory_that_somebody_changed_is_set_back(max_bytes: int) -> None:
    assert redis_tuning(_state(replace(FIT, max_bytes=max_bytes)).observed()) == {"maxmemory": str(1 << 30)}


def test_a_policy_that_nobody_tells_is_left_alone() -> None:
    assert redis_tuning(_state(replace(FIT, policy="")).observed()) == {}


def test_a_pod_that_is_about_to_be_replaced_gets_nothing_that_its_limit_does_not_bear() -> None:
    service = a_service().with_spec(redis={"managed": {"maxMemory": "8Gi"}})
    old_pod = a_state(service).having(_set("newer")).with_pods(_pod()).knowing(redis=FIT)
    assert redis_tuning(old_pod.observed()) == {}
    new_pod = a_state(service).having(_set("newer")).with_pods(_pod("newer")).knowing(redis=FIT)
    assert redis_tuning(new_pod.observed()) == {"maxmemory": str(8 << 30)}


@pytest.mark.parametrize(
    "problem", [RedisProblem.UNREACHABLE, RedisProblem.AUTH_FAILED, RedisProblem.LOADING, RedisProblem.READ_ONLY]
)
def test_a_redis_that_does_not_listen_is_told_nothing(problem: RedisProblem) -> None:
    assert redis_tuning(_state(replace(FIT, policy="x", problem=problem)).observed()) == {}


def test_a_redis_that_was_never_asked_and_one_of_somebody_else_are_told_nothing() -> None:
    assert redis_tuning(_state(None).observed()) == {}
    external = _state(replace(FIT, policy="allkeys-lru", appends=False), a_service().on_external_redis())
    assert redis_tuning(external.observed()) == {}


def test_without_a_pod_or_a_stateful_set_there_is_nobody_to_tell() -> None:
    changed = replace(FIT, max_bytes=1)
    assert redis_tuning(a_state().having(_set()).knowing(redis=changed).observed()) == {}
    assert redis_tuning(a_state().with_pods(_pod()).knowing(redis=changed).observed()) == {}
    unmarked = a_state().having(_set("")).with_pods(_pod("")).knowing(redis=changed)
    assert redis_tuning(unmarked.observed()) == {}
