"""Waits between tries."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from timbre_operator.reconciler.backoff import Backoff, Failures


def test_each_wait_is_twice_the_one_before_up_to_the_longest() -> None:
    backoff = Backoff(first_seconds=1, longest_seconds=10, spread=0)
    assert [backoff.seconds(failures, 0.7) for failures in range(1, 7)] == [1, 2, 4, 8, 10, 10]


@given(failures=st.integers(1, 10_000_000), chance=st.floats(0, 1))
def test_chance_shortens_a_wait_by_half_at_most(failures: int, chance: float) -> None:
    backoff = Backoff(first_seconds=0.2, longest_seconds=60)
    longest = Backoff(first_seconds=0.2, longest_seconds=60, spread=0).seconds(failures, chance)
    assert longest / 2 <= backoff.seconds(failures, chance) <= longest <= 60


def test_success_ends_the_row() -> None:
    failures: Failures[str] = Failures(lambda: 0.0)
    backoff = Backoff(first_seconds=1, longest_seconds=10)
    assert [failures.failed("a", backoff) for _ in range(3)] == [1, 2, 4]
    assert failures.failed("b", backoff) == 1
    failures.forget("a")
    assert failures.failed("a", backoff) == 1
