"""Events on change only, each sentence once."""

from __future__ import annotations

from tests.operator.status.states import NOW, AState, a_deployment, a_good_state, a_pod, a_redis_pod, a_state
from timbre_operator.observed import RedisFacts, RedisProblem
from timbre_operator.status import EventFacts, build_invalid_status, events

_AWAY = RedisFacts(address="redis:6379", problem=RedisProblem.UNREACHABLE)


def _from(before: AState | None, after: AState) -> list[tuple[str, str]]:
    found = events(before.status() if before else None, after.status())
    return [(event.type, event.reason) for event in found]


def test_at_rest_nothing_happens() -> None:
    assert events(a_good_state().status(), a_good_state().status()) == ()


def test_a_new_service_is_being_made() -> None:
    assert _from(None, a_state()) == [("Normal", "Creating")]


def test_the_first_pod_that_serves_is_told() -> None:
    starting = a_state().having(a_deployment().starting(0, of=1)).with_pods(a_redis_pod())
    assert ("Normal", "Serving") in _from(starting, a_good_state())


def test_trouble_is_told_once_with_its_sentence() -> None:
    found = events(a_good_state().status(), a_good_state().knowing(redis=_AWAY).status())
    assert [(event.type, event.reason) for event in found] == [("Warning", "Unreachable")]
    assert found[0].message.startswith("Redis at redis:6379 does not answer")


def test_the_end_of_trouble_is_told() -> None:
    assert _from(a_good_state().knowing(redis=_AWAY), a_good_state()) == [
        ("Normal", "Reachable"),
        ("Normal", "AsExpected"),
    ]


def test_another_reason_of_the_same_status_is_told() -> None:
    full = a_good_state().knowing(redis=RedisFacts(address="redis:6379", problem=RedisProblem.FULL))
    assert _from(a_good_state().knowing(redis=_AWAY), full) == [("Warning", "Full")]


def test_other_words_of_the_same_reason_are_not() -> None:
    other = a_good_state().knowing(redis=RedisFacts(address="b:6379", problem=RedisProblem.UNREACHABLE))
    assert _from(a_good_state().knowing(redis=_AWAY), other) == []


def test_a_rollout_and_its_end_are_told() -> None:
    rolling = a_good_state().knowing(found=a_state().having(a_deployment().rolling_out(1, of=3)).observed().found)
    calm = [event for event in _from(a_good_state(), rolling) if event[1] == "RollingOut"]
    assert calm == [("Normal", "RollingOut")]
    assert ("Normal", "Settled") in _from(rolling, a_good_state())


def test_the_last_pod_that_goes_is_a_warning() -> None:
    gone = a_state().having(a_deployment().starting(0, of=1)).with_pods(a_pod().ended(1), a_redis_pod())
    assert ("Warning", "Crashed") in _from(a_good_state(), gone)


def test_a_spec_that_cannot_be_read_is_a_warning() -> None:
    invalid = build_invalid_status({"metadata": {"generation": 2}}, ["spec.x: there is no such field"], NOW)
    (event,) = events(None, invalid)
    assert (event.type, event.reason) == ("Warning", "InvalidSpec")


def test_what_is_unknown_is_not_told() -> None:
    assert _from(a_good_state(), a_good_state().knowing(load=None)) == []


def test_a_note_fits_into_an_event_and_is_cut_between_letters() -> None:
    state = a_good_state().knowing(missing_references=("ü" * 2000,))
    (event,) = events(a_good_state().status(), state.status())
    assert isinstance(event, EventFacts)
    assert len(event.message.encode()) <= 1024
    assert event.message.endswith("ü...")
