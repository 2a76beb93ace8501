"""The hit rate of the last five minutes, and NaN when there was none."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.voicecache.lookups import HitWindow


def count(window: HitWindow, now: float, *, hit: bool) -> None:
    """A look-up that waits alone for what it lacks."""
    if not hit:
        window.extracted(now)
    window.looked_up(now)


def test_without_look_ups_there_is_no_rate() -> None:
    assert math.isnan(HitWindow().ratio(1e6))


def test_hits_are_counted_per_look_up() -> None:
    window = HitWindow()
    for hit in (True, True, False, True):
        count(window, 1_000.0, hit=hit)
    assert window.ratio(1_000.0) == 0.75


def test_an_extraction_that_nobody_waited_for_makes_no_rate_below_zero() -> None:
    window = HitWindow()
    for _ in range(3):
        window.extracted(1_000.0)
    assert math.isnan(window.ratio(1_000.0))
    window.looked_up(1_000.0)
    assert window.ratio(1_000.0) == 0.0


def test_what_is_older_than_the_window_counts_no_more() -> None:
    window = HitWindow(300)
    count(window, 1_000.0, hit=False)
    count(window, 1_200.0, hit=True)
    assert window.ratio(1_289.0) == 0.5
    assert window.ratio(1_310.0) == 1.0
    assert math.isnan(window.ratio(1_600.0))
    assert math.isnan(window.ratio(1e9))


def test_a_clock_that_goes_back_empties_nothing() -> None:
    window = HitWindow(300)
    count(window, 1_000.0, hit=True)
    count(window, 500.0, hit=False)
    assert window.ratio(1_000.0) == 0.5


@given(st.lists(st.tuples(st.floats(0, 200), st.booleans()), min_size=1, max_size=60))
def test_it_is_exact_but_for_its_oldest_slot(steps: list[tuple[float, bool]]) -> None:
    window, now, seen = HitWindow(300), 5e5, []
    for pause, hit in steps:
        now += pause
        count(window, now, hit=hit)
        seen.append((now, hit))
    sure = [hit for when, hit in seen if when > now - 290]
    possible = [hit for when, hit in seen if when > now - 300]
    bounds = [sum(hits) / len(hits) for hits in (sure, possible)]
    # What is in the slot that is partly out may count or not, so the rate lies between the extremes of both.
    edge = possible[: len(possible) - len(sure)]
    if not edge:
        assert window.ratio(now) == pytest.approx(bounds[0])
    else:
        low = sum(sure) / (len(sure) + edge.count(False))
        high = (sum(sure) + sum(edge)) / (len(sure) + sum(edge))
        assert low - 1e-9 <= window.ratio(now) <= high + 1e-9


def test_a_long_silence_empties_every_slot() -> None:
    window = HitWindow(300)
    for second in range(0, 300, 10):
        count(window, 1_000.0 + second, hit=True)
    assert math.isnan(window.ratio(10_000.0))
