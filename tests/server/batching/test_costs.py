"""Does the cost model believe what it sees, and no more?"""

from __future__ import annotations

import pytest

from timbre_server.batching.costs import MeasuredCosts


def test_before_the_first_batch_the_predictions_are_believed() -> None:
    assert MeasuredCosts().predicted_drain_seconds(3.0) == 3.0


def test_the_drain_follows_what_batches_took() -> None:
    costs = MeasuredCosts()
    for _ in range(50):
        costs.observe([0.022] * 16, 0.052)

    assert costs.predicted_drain_seconds(16 * 0.022) == pytest.approx(0.052)


def test_predictions_that_are_too_low_are_corrected() -> None:
    costs = MeasuredCosts()
    costs.observe([0.1], 1.0)

    assert costs.predicted_drain_seconds(1.0) == pytest.approx(10.0)


def test_the_estimate_forgets_a_machine_that_has_changed() -> None:
    costs = MeasuredCosts()
    for busy_seconds in [1.0] * 50 + [2.0] * 50:
        costs.observe([1.0], busy_seconds)

    assert costs.predicted_drain_seconds(1.0) == pytest.approx(2.0, rel=0.01)


def test_a_clock_that_sees_no_time_does_not_open_the_door() -> None:
    costs = MeasuredCosts()
    costs.observe([1.0], 0.0)

    assert costs.predicted_drain_seconds(64.0) == pytest.approx(1.0)


def test_a_batch_counts_the_sum_of_its_jobs() -> None:
    costs = MeasuredCosts()
    costs.observe([1.0, 1.0], 1.0)

    assert costs.predicted_batch_seconds([0.5, 0.25]) == 0.75
