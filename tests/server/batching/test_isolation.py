"""Is a failed batch cut so that every job runs again, and does the size cap fall and recover?"""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from timbre_server.batching.isolation import RELIEF_SECONDS, SizeCap, halves


@given(st.lists(st.integers(), max_size=40))
def test_halves_hold_every_job_once_and_are_never_empty(jobs: list[int]) -> None:
    parts = halves(jobs)

    assert [job for part in parts for job in part] == jobs
    assert all(parts)


@given(st.integers(2, 1000))
def test_halves_shrink(size: int) -> None:
    assert max(len(part) for part in halves(range(size))) == (size + 1) // 2


def test_the_cap_halves_the_size_that_failed() -> None:
    cap = SizeCap(16)
    cap.halve(12, now=0.0)

    assert cap.at(1.0) == 6


def test_the_cap_never_forbids_a_job_alone() -> None:
    cap = SizeCap(16)
    for _ in range(10):
        cap.halve(2, now=0.0)

    assert cap.at(1.0) == 1


def test_the_cap_doubles_with_each_minute_without_a_failure() -> None:
    cap = SizeCap(12)
    cap.halve(4, now=100.0)

    sizes = [cap.at(100.0 + minutes * RELIEF_SECONDS) for minutes in (0.99, 1.0, 1.5, 2.0, 3.0, 9.0)]
    assert sizes == [2, 4, 4, 8, 12, 12]


def test_a_new_failure_starts_the_minute_again() -> None:
    cap = SizeCap(16)
    cap.halve(16, now=0.0)
    cap.halve(8, now=50.0)

    assert cap.at(60.0) == 4
    assert cap.at(50.0 + RELIEF_SECONDS) == 8
