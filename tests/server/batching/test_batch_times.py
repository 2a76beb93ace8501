"""What does a job cost in a full batch, told by the batches that ran?"""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.batching.batch_times import LARGEST_GAIN, BatchTimes

JOB = 0.022
"""Cost of a job alone where a batch of n takes 20 + 2 n ms."""


def some_batches(times: BatchTimes, count: int, largest: int) -> BatchTimes:
    chance = random.Random(7)
    for _ in range(count):
        jobs = chance.randint(1, largest)
        times.observe([JOB] * jobs, 0.020 + 0.002 * jobs)
    return times


def test_before_the_first_batch_a_job_costs_what_it_costs_alone() -> None:
    assert BatchTimes().share_seconds([0.5, 0.25], 16) == 0.75


def test_nothing_asked_costs_nothing() -> None:
    assert BatchTimes().share_seconds([], 16) == 0.0


def test_a_job_costs_a_sixteenth_of_a_batch_of_sixteen_of_its_like() -> None:
    times = some_batches(BatchTimes(), 50, largest=8)

    assert times.share_seconds([JOB], 16) == pytest.approx(0.052 / 16, rel=0.01)
    assert times.share_seconds([JOB] * 3, 16) == pytest.approx(3 * 0.052 / 16, rel=0.01)


def test_batches_of_one_do_not_tell_what_batching_gains() -> None:
    times = some_batches(BatchTimes(), 50, largest=1)

    assert times.share_seconds([JOB], 16) == pytest.approx(JOB)


def test_a_slower_machine_costs_more() -> None:
    times = BatchTimes()
    times.observe([1.0], 3.0)

    assert times.share_seconds([2.0], 16) == pytest.approx(6.0)


def test_quiet_hours_do_not_make_forget_what_batching_gains() -> None:
    times = some_batches(BatchTimes(), 50, largest=16)
    some_batches(times, 200, largest=1)

    assert times.share_seconds([JOB], 16) == pytest.approx(0.052 / 16, rel=0.05)


def test_an_engine_that_goes_on_as_long_as_the_longest_is_learnt_from_texts_of_all_lengths() -> None:
    chance = random.Random(11)
    times = BatchTimes()
    for _ in range(100):
        costs = [chance.uniform(0.1, 1.0) for _ in range(chance.randint(1, 4))]
        noise = chance.uniform(0.97, 1.03)
        times.observe(costs, (0.05 + 0.1 * sum(costs) + 0.7 * max(costs)) * noise)

    assert times.share_seconds([0.5], 16) == pytest.approx((0.05 + 0.1 * 8 + 0.7 * 0.5) / 16, rel=0.1)


def test_an_engine_without_a_gain_costs_the_sum() -> None:
    chance = random.Random(3)
    times = BatchTimes()
    for _ in range(100):
        costs = [chance.uniform(0.1, 1.0) for _ in range(chance.randint(1, 16))]
        times.observe(costs, 2 * sum(costs))

    assert times.share_seconds([0.3], 16) == pytest.approx(0.6, rel=0.01)


def test_a_machine_that_has_changed_is_believed_after_a_few_hundred_batches() -> None:
    times = some_batches(BatchTimes(), 100, largest=16)
    for _ in range(500):
        times.observe([JOB], 2 * JOB)
        times.observe([JOB] * 4, 2 * 0.028)

    assert times.share_seconds([JOB], 16) == pytest.approx(2 * 0.052 / 16, rel=0.05)


batches = st.lists(
    st.tuples(st.lists(st.floats(0.001, 10.0), min_size=1, max_size=16), st.floats(0.0, 100.0)), max_size=30
)


@given(batches, st.lists(st.floats(0.001, 10.0), min_size=1, max_size=5), st.integers(1, 64))
def test_a_share_is_never_less_than_the_largest_gain_leaves(
    ran: list[tuple[list[float], float]], costs: list[float], size: int
) -> None:
    times = BatchTimes()
    for jobs, seconds in ran:
        times.observe(jobs, seconds)

    assert LARGEST_GAIN * sum(costs) <= times.share_seconds(costs, size) < float("inf")


@given(batches, st.floats(0.001, 10.0), st.integers(1, 32))
def test_a_larger_batch_never_costs_a_job_more(ran: list[tuple[list[float], float]], cost: float, size: int) -> None:
    times = BatchTimes()
    for jobs, seconds in ran:
        times.observe(jobs, seconds)

    assert times.share_seconds([cost], size + 1) <= times.share_seconds([cost], size) * (1 + 1e-9)
