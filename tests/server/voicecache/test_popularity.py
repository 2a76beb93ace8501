"""The voices that are asked for most, lately."""

from __future__ import annotations

from collections import Counter

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.voicecache.popularity import Popularity


def counted(uses: str, **options: float) -> Popularity:
    popularity = Popularity(**options)  # type: ignore[arg-type]
    for key in uses:
        popularity.used(key, 0.0)
    return popularity


def test_the_hottest_come_first() -> None:
    assert list(counted("abbccc").hottest(0.0)) == [("c", 3.0), ("b", 2.0), ("a", 1.0)]


def test_a_use_of_a_half_life_ago_counts_half() -> None:
    popularity = counted("aaa", half_life_seconds=10.0)
    popularity.used("b", 20.0)
    popularity.used("b", 20.0)

    assert list(popularity.hottest(20.0)) == [("b", 2.0), ("a", 0.75)]


def test_the_coldest_are_forgotten_where_there_are_too_many() -> None:
    popularity = counted("aaabbbcdef", max_voices=4)

    assert [key for key, _ in popularity.hottest(0.0)][:2] == ["a", "b"]
    assert len(list(popularity.hottest(0.0))) <= 4


def test_years_of_uptime_overflow_nothing() -> None:
    popularity = counted("aa", half_life_seconds=1.0)
    for year in range(1, 40):
        popularity.used("b", year * 300.0)

    assert dict(popularity.hottest(39 * 300.0))["b"] == pytest.approx(1.0)


@given(st.text("abcdefgh", max_size=60))
def test_without_time_it_is_a_count(uses: str) -> None:
    assert dict(counted(uses).hottest(0.0)) == Counter(uses)
