"""A rate rises at once and falls slowly, and chance is no rise."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_operator.scaling.smoothing import Smoothed

PERIOD = 5.0


def smoothed(*values: float, start: float = 0.0) -> Smoothed:
    smooth = Smoothed()
    smooth.start(start)
    for value in values:
        smooth.toward(value, PERIOD)
    return smooth


def requests(per_second: float, cost: float, count: int, seed: int = 1) -> list[float]:
    """What is told of requests that come by chance, each of that cost."""
    chance = np.random.default_rng(seed)
    return [float(number) * cost / PERIOD for number in chance.poisson(per_second * PERIOD, count)]


def test_a_step_is_there_after_half_a_minute() -> None:
    assert smoothed(*[4.0] * 6, start=1.0).value > 3.8


def test_a_fall_takes_minutes() -> None:
    assert smoothed(*[4.0] * 60, *[1.0] * 6, start=4.0).value > 2.5
    assert smoothed(*[4.0] * 60, *[1.0] * 60, start=4.0).value < 1.3
    assert smoothed(*[4.0] * 60, *[1.0] * 120, start=4.0).value == pytest.approx(1.0, rel=0.05)


@pytest.mark.parametrize(("per_second", "cost"), [(6.0, 0.094), (0.2, 3.0), (50.0, 0.01)])
def test_a_constant_load_is_told_as_it_is_on_average(per_second: float, cost: float) -> None:
    smooth = smoothed(start=per_second * cost)
    told = []
    for value in requests(per_second, cost, 4000):
        smooth.toward(value, PERIOD)
        told.append(smooth.value)
    assert np.mean(told[100:]) == pytest.approx(per_second * cost, rel=0.06)


def test_chance_seldom_looks_like_a_rise() -> None:
    smooth = smoothed(start=0.564)
    told = []
    for value in requests(6.0, 0.094, 17_280):  # a day
        smooth.toward(value, PERIOD)
        told.append(smooth.value)
    assert max(told[60:]) < 1.5 * 0.564


def test_a_rise_is_seen_through_the_noise() -> None:
    smooth = smoothed(*requests(6.0, 0.094, 200), start=0.564)
    for value in requests(24.0, 0.094, 6, seed=2):
        smooth.toward(value, PERIOD)
    assert smooth.value > 0.8 * 24 * 0.094


def test_rest_is_exactly_zero() -> None:
    assert smoothed(*requests(6.0, 0.5, 50), *[0.0] * 200).value == 0.0


def test_the_first_requests_after_rest_are_seen_at_once() -> None:
    smooth = smoothed(*requests(6.0, 0.5, 50), *[0.0] * 200)
    smooth.toward(2.0, PERIOD)
    assert smooth.value > 0.7


@given(st.lists(st.tuples(st.floats(0.0, 1e3), st.floats(0.1, 60.0)), max_size=60))
def test_the_value_stays_between_the_least_and_the_most_that_was_told(told: list[tuple[float, float]]) -> None:
    smooth = smoothed()
    for value, seconds in told:
        smooth.toward(value, seconds)
        assert 0.0 <= smooth.value <= max(0.0, *(value for value, _ in told)) * (1 + 1e-9)
