"""The pod that goes first is the one that is missed least."""

from __future__ import annotations

from collections.abc import Mapping
from math import inf

from hypothesis import given
from hypothesis import strategies as st

from tests.operator.scaling.pods import APod
from timbre_operator.scaling.deletion_cost import LEAST_SECONDS, DeletionCosts, deletion_costs

NOTHING = DeletionCosts({}, -inf)


def costs_of(pods: Mapping[str, APod], previous: DeletionCosts = NOTHING, now: float = 0.0) -> DeletionCosts:
    return deletion_costs({name: pod.sample() for name, pod in pods.items()}, previous, now)


def order_of(pods: Mapping[str, APod]) -> list[str]:
    """Who goes first, second, ..."""
    costs = costs_of(pods).costs
    return sorted(pods, key=lambda name: (costs.get(name, 0), name))


def test_voices_that_nobody_else_holds_are_missed() -> None:
    pods = {
        "a": APod(heat={"shared": 100.0, "its own": 5.0}),
        "b": APod(heat={"shared": 90.0}),
        "c": APod(heat={"another": 50.0, "one more": 1.0}),
    }
    assert order_of(pods) == ["b", "a", "c"]


def test_requests_in_flight_are_missed() -> None:
    assert order_of({"busy": APod(in_flight=8), "idle": APod(), "half": APod(in_flight=4)}) == ["idle", "half", "busy"]


def test_a_new_pod_goes_before_old_ones() -> None:
    pods = {"old": APod(in_flight=4, heat={"a": 9.0}), "new": APod()}
    assert order_of(pods) == ["new", "old"]


def test_pods_at_rest_that_hold_nothing_need_no_annotation() -> None:
    assert costs_of({"a": APod(), "b": APod()}) is NOTHING


def test_the_only_pod_needs_no_annotation() -> None:
    assert costs_of({"a": APod(in_flight=5, heat={"a": 3.0})}) is NOTHING


def test_while_the_order_stays_nothing_is_written() -> None:
    pods = {"a": APod(heat={"x": 10.0}), "b": APod(heat={"y": 4.0})}
    before = costs_of(pods)
    pods["a"].heat["x"], pods["b"].heat["y"] = 30.0, 6.0
    assert costs_of(pods, before, 100.0) is before


def test_an_order_that_changed_is_written_half_a_minute_after_the_last_one_at_the_earliest() -> None:
    pods = {"a": APod(heat={"x": 10.0}), "b": APod(heat={"y": 4.0})}
    before = costs_of(pods)
    pods["b"].heat["y"] = 40.0
    assert costs_of(pods, before, LEAST_SECONDS - 1) is before
    after = costs_of(pods, before, LEAST_SECONDS)
    assert after.costs["b"] > after.costs["a"]


def test_a_pod_that_went_is_forgotten_without_a_write_about_the_others() -> None:
    pods = {"a": APod(heat={"x": 10.0}), "b": APod(heat={"y": 4.0}), "c": APod(heat={"z": 7.0})}
    before = costs_of(pods)
    del pods["c"]
    assert costs_of(pods, before, 100.0) is before


@given(
    st.dictionaries(
        st.sampled_from("abcde"),
        st.tuples(st.integers(0, 20), st.dictionaries(st.sampled_from("uvwxyz"), st.floats(0, 1e6))),
        max_size=5,
    )
)
def test_costs_are_small_whole_numbers_and_deciding_again_changes_nothing(
    pods: dict[str, tuple[int, dict[str, float]]],
) -> None:
    there = {name: APod(in_flight=flight, heat=heat) for name, (flight, heat) in pods.items()}
    costs = costs_of(there)
    assert all(isinstance(cost, int) and 0 <= cost <= 40 for cost in costs.costs.values())
    assert costs_of(there, costs, 1000.0) is costs
