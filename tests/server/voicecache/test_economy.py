"""Fetch or extract: by measured cost, never before enough was measured, and never for good."""

from hypothesis import given
from hypothesis import strategies as st

from timbre_server.voicecache.economy import ENOUGH, TRIAL_EVERY, Economy

MIB = 1 << 20


def an_economy(*, fetch_seconds: float, extraction_seconds: float, count: int = ENOUGH) -> Economy:
    """After ``count`` voices of 10 s and 4 MiB by either way."""
    economy = Economy()
    for _ in range(count):
        economy.fetched(4 * MIB, fetch_seconds)
        economy.extracted(10.0, 4 * MIB, extraction_seconds)
    return economy


def test_a_network_that_is_slower_than_the_engine_is_not_asked() -> None:
    assert not an_economy(fetch_seconds=0.4, extraction_seconds=0.05).prefers_fetching()


def test_a_network_that_is_faster_than_the_engine_is_asked() -> None:
    assert an_economy(fetch_seconds=0.004, extraction_seconds=2.8).prefers_fetching()


def test_a_small_difference_spares_the_engine() -> None:
    assert an_economy(fetch_seconds=0.06, extraction_seconds=0.05).prefers_fetching()


def test_nothing_is_decided_on_few_measurements() -> None:
    assert an_economy(fetch_seconds=0.4, extraction_seconds=0.05, count=ENOUGH - 1).prefers_fetching()


def test_a_network_that_got_better_is_found_out() -> None:
    economy = an_economy(fetch_seconds=0.4, extraction_seconds=0.05)
    fetched = 0
    for _ in range(100 * TRIAL_EVERY):
        if economy.prefers_fetching():
            fetched += 1
            economy.fetched(4 * MIB, 0.004)
    assert fetched > 50 * TRIAL_EVERY


def test_one_slow_answer_changes_nothing() -> None:
    economy = an_economy(fetch_seconds=0.004, extraction_seconds=0.05, count=50)
    economy.fetched(4 * MIB, 0.05)
    assert economy.prefers_fetching()


def test_rates_are_in_seconds_per_byte_and_per_second_of_reference() -> None:
    economy = an_economy(fetch_seconds=0.004, extraction_seconds=2.8)
    assert abs(economy.fetch_seconds_per_byte - 0.004 / (4 * MIB)) < 1e-15
    assert abs(economy.extraction_seconds_per_second - 0.28) < 1e-9


@given(st.lists(st.tuples(st.integers(0, 1 << 30), st.floats(0, 100), st.floats(0, 100)), max_size=40))
def test_any_measurements_give_an_answer(measurements: list[tuple[int, float, float]]) -> None:
    economy = Economy()
    for size, fetching, extracting in measurements:
        economy.fetched(size, fetching)
        economy.extracted(10.0, size, extracting)
    assert economy.prefers_fetching() in {True, False}
