"""The policy: gives way at once, takes back slowly, and is not moved by noise."""

from __future__ import annotations

from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.voicecache.nvml import DeviceReading
from timbre_server.voicecache.sizing import (
    DEMAND,
    OUT_OF_MEMORY,
    PRESSURE,
    CacheState,
    SizingLimits,
    SizingState,
    after_out_of_memory,
    decide,
    first_state,
    headroom_bytes,
)

MIB = 1 << 20
GIB = 1 << 30
LIMITS = SizingLimits(min_bytes=64 * MIB, max_bytes=2 * GIB, keep_free_percent=20, quantum_bytes=16 * MIB)
STEP = LIMITS.step_bytes
DWELL = LIMITS.dwell_seconds
TOTAL = 20 * GIB
KEPT_FREE = 4 * GIB


def device(free_bytes: int, *, allocated_bytes: int = 0, reserved_bytes: int = 0) -> DeviceReading:
    return DeviceReading(TOTAL, free_bytes, TOTAL - free_bytes, allocated_bytes, reserved_bytes)


def with_headroom(headroom: int) -> DeviceReading:
    return device(KEPT_FREE + headroom)


def full(capacity_bytes: int, ghost_bytes: int = 0) -> CacheState:
    return CacheState(capacity_bytes, capacity_bytes, ghost_bytes)


def settled(capacity_bytes: int, **more: float) -> SizingState:
    """A budget that has not changed for long, with headroom all the while."""
    long_ago = SizingState(capacity_bytes, resized_at=-1000.0, calm_since=-1000.0, window_from=-1000.0)
    return replace(long_ago, **more)  # type: ignore[arg-type]


def test_a_step_is_an_eighth_of_the_range_in_whole_slabs() -> None:
    assert STEP == 240 * MIB
    assert replace(LIMITS, max_bytes=64 * MIB).step_bytes == 16 * MIB


def test_headroom_counts_what_torch_keeps_back_and_not_what_is_to_stay_free() -> None:
    reading = device(5 * GIB, allocated_bytes=3 * GIB, reserved_bytes=4 * GIB)
    assert headroom_bytes(LIMITS, reading, full(0)) == 2 * GIB


def test_slabs_that_wait_for_their_last_users_count_as_free() -> None:
    cache = CacheState(capacity_bytes=GIB, reserved_bytes=GIB + 100 * MIB)
    assert headroom_bytes(LIMITS, with_headroom(-100 * MIB), cache) == 0
    assert decide(LIMITS, settled(GIB), with_headroom(-100 * MIB), cache, 0.0).reason is None


def test_evicting_is_not_done_again_for_what_it_has_freed_already() -> None:
    """Wind-up: the evicted bytes are still 'used' for NVML, but torch keeps them back."""
    before = device(3 * GIB, allocated_bytes=2 * GIB, reserved_bytes=2 * GIB)
    first = decide(LIMITS, settled(2 * GIB), before, full(2 * GIB), 0.0)
    assert first.reason == PRESSURE
    evicted = 2 * GIB - first.capacity_bytes
    after = device(3 * GIB, allocated_bytes=2 * GIB - evicted, reserved_bytes=2 * GIB)
    assert decide(LIMITS, first.state, after, full(first.capacity_bytes), 0.05).reason is None


def test_pressure_shrinks_at_once_by_what_is_missing_and_a_margin() -> None:
    decision = decide(LIMITS, settled(2 * GIB), with_headroom(-160 * MIB), full(2 * GIB), 0.0)
    assert decision.reason == PRESSURE
    assert decision.capacity_bytes == 2 * GIB - 160 * MIB - STEP


def test_pressure_shrinks_what_is_held_not_what_may_be() -> None:
    cache = CacheState(capacity_bytes=2 * GIB, reserved_bytes=GIB)
    decision = decide(LIMITS, settled(2 * GIB), with_headroom(-16 * MIB), cache, 0.0)
    assert decision.capacity_bytes == GIB - 16 * MIB - STEP


def test_pressure_that_comes_back_within_a_dwell_takes_twice_the_margin() -> None:
    state = replace(settled(2 * GIB), resized_at=-DWELL / 2)
    again = decide(LIMITS, state, with_headroom(-160 * MIB), full(2 * GIB), 0.0)
    assert again.capacity_bytes == 2 * GIB - 160 * MIB - 2 * STEP
    later = decide(LIMITS, state, with_headroom(-160 * MIB), full(2 * GIB), DWELL / 2)
    assert later.capacity_bytes == 2 * GIB - 160 * MIB - STEP


def test_no_pressure_takes_the_least_budget() -> None:
    decision = decide(LIMITS, settled(2 * GIB), with_headroom(-10 * GIB), full(2 * GIB), 0.0)
    assert decision.capacity_bytes == LIMITS.min_bytes
    again = decide(LIMITS, decision.state, with_headroom(-10 * GIB), full(LIMITS.min_bytes), 0.05)
    assert again.reason is None


def test_headroom_without_demand_grows_nothing() -> None:
    assert decide(LIMITS, settled(GIB), with_headroom(8 * GIB), full(GIB), 0.0).reason is None


def test_demand_grows_by_what_was_asked_for_and_a_step_at_most() -> None:
    modest = decide(LIMITS, settled(GIB), with_headroom(8 * GIB), full(GIB, ghost_bytes=40 * MIB), 0.0)
    assert (modest.reason, modest.capacity_bytes) == (DEMAND, GIB + 32 * MIB)
    tiny = decide(LIMITS, settled(GIB), with_headroom(8 * GIB), full(GIB, ghost_bytes=1), 0.0)
    assert tiny.capacity_bytes == GIB + LIMITS.quantum_bytes
    large = decide(LIMITS, settled(GIB), with_headroom(8 * GIB), full(GIB, ghost_bytes=GIB), 0.0)
    assert large.capacity_bytes == GIB + STEP


def test_growth_leaves_a_margin_of_headroom() -> None:
    decision = decide(LIMITS, settled(GIB), with_headroom(2 * STEP), full(GIB, ghost_bytes=GIB), 0.0)
    assert decision.capacity_bytes - GIB == STEP
    assert decide(LIMITS, settled(GIB), with_headroom(2 * STEP - 1), full(GIB, ghost_bytes=GIB), 0.0).reason is None


def test_a_cache_that_is_not_full_does_not_grow() -> None:
    cache = CacheState(GIB, GIB - STEP, ghost_bytes=GIB)
    assert decide(LIMITS, settled(GIB), with_headroom(8 * GIB), cache, 0.0).reason is None


def test_headroom_must_last_for_a_dwell() -> None:
    state = settled(GIB, calm_since=-DWELL / 2)
    wanting = full(GIB, ghost_bytes=GIB)
    assert decide(LIMITS, state, with_headroom(8 * GIB), wanting, 0.0).reason is None
    broken = decide(LIMITS, settled(GIB), with_headroom(STEP), full(GIB), 0.0).state
    assert broken.calm_since is None


def test_growth_is_considered_once_a_dwell_for_what_was_asked_since() -> None:
    state = decide(LIMITS, settled(GIB), with_headroom(8 * GIB), full(GIB, GIB), 0.0).state
    for now in (0.05, DWELL / 2, DWELL - 0.05):
        assert decide(LIMITS, state, with_headroom(8 * GIB), full(GIB + STEP, 2 * GIB), now).reason is None
    assert decide(LIMITS, state, with_headroom(8 * GIB), full(GIB + STEP, GIB), DWELL).reason is None, "old demand"
    assert decide(LIMITS, state, with_headroom(8 * GIB), full(GIB + STEP, 2 * GIB), DWELL).reason == DEMAND


def test_nothing_grows_above_the_bound() -> None:
    almost = 2 * GIB - 16 * MIB
    decision = decide(LIMITS, settled(almost), with_headroom(8 * GIB), full(almost, GIB), 0.0)
    assert decision.capacity_bytes == 2 * GIB
    assert decide(LIMITS, settled(2 * GIB), with_headroom(8 * GIB), full(2 * GIB, GIB), 0.0).reason is None


def test_out_of_memory_takes_a_quarter_of_what_is_held_and_holds_growth_back() -> None:
    decision = after_out_of_memory(LIMITS, settled(2 * GIB), full(GIB), 0.0)
    assert (decision.reason, decision.capacity_bytes) == (OUT_OF_MEMORY, 768 * MIB)
    calm = replace(decision.state, calm_since=-1000.0)
    wanting = full(768 * MIB, ghost_bytes=GIB)
    early = decide(LIMITS, calm, with_headroom(8 * GIB), wanting, LIMITS.hold_seconds - 1)
    assert early.reason is None
    late = decide(LIMITS, replace(calm, window_from=0.0), with_headroom(8 * GIB), wanting, LIMITS.hold_seconds)
    assert late.reason == DEMAND


def test_out_of_memory_never_takes_the_least_budget_and_then_has_no_reason() -> None:
    decision = after_out_of_memory(LIMITS, settled(LIMITS.min_bytes), full(LIMITS.min_bytes), 5.0)
    assert decision.reason is None
    assert decision.capacity_bytes == LIMITS.min_bytes
    assert decision.state.grows_not_before == 5.0 + LIMITS.hold_seconds


def test_without_a_reading_the_budget_is_the_greatest_and_comes_back_to_it_after_out_of_memory() -> None:
    state = first_state(LIMITS, None, 0.0)
    assert state.capacity_bytes == 2 * GIB
    state = after_out_of_memory(LIMITS, state, full(2 * GIB), 0.0).state
    now, ghosts = 0.0, 0
    while state.capacity_bytes < 2 * GIB:
        now, ghosts = now + 1, ghosts + GIB
        state = decide(LIMITS, state, None, full(state.capacity_bytes, ghosts), now).state
    assert LIMITS.hold_seconds < now < LIMITS.hold_seconds + 5 * DWELL
    assert decide(LIMITS, state, None, full(2 * GIB, ghosts + GIB), now + DWELL).reason is None


@pytest.mark.parametrize(
    ("free", "capacity"), [(8 * GIB, 2 * GIB), (5 * GIB, GIB - STEP), (KEPT_FREE, 64 * MIB), (0, 64 * MIB)]
)
def test_the_first_budget_is_what_there_is_less_a_margin(free: int, capacity: int) -> None:
    assert first_state(LIMITS, device(free), 0.0).capacity_bytes == capacity


def test_a_greatest_budget_below_the_least_wins() -> None:
    small = replace(LIMITS, max_bytes=32 * MIB)
    assert first_state(small, device(8 * GIB), 0.0).capacity_bytes == 32 * MIB
    assert decide(small, settled(32 * MIB), with_headroom(-GIB), full(32 * MIB), 0.0).reason is None


def _resized_at(noise: list[int], base: int, period: float, *, fills: bool) -> list[float]:
    """When the budget changes while others' use of the device is noise; the cache fills whatever it may have."""
    state = settled(GIB)
    ghosts, times = 0, []
    for turn, swing in enumerate(noise):
        now = turn * period
        ghosts += GIB if fills else 0
        headroom = base + (GIB - state.capacity_bytes) + swing
        decision = decide(LIMITS, state, with_headroom(headroom), full(state.capacity_bytes, ghosts), now)
        if decision.reason is not None:
            times.append(now)
        state = decision.state
    return times


@given(
    noise=st.lists(st.integers(-STEP // 2, STEP // 2), min_size=20, max_size=120),
    base=st.integers(-STEP, 3 * STEP),
    period=st.sampled_from([0.05, 1.0, DWELL / 3]),
    fills=st.booleans(),
)
def test_noise_within_a_margin_resizes_at_most_once_a_dwell(
    *, noise: list[int], base: int, period: float, fills: bool
) -> None:
    times = _resized_at(noise, base, period, fills=fills)
    assert all(later - earlier >= DWELL - 1e-6 for earlier, later in pairwise(times))


@given(st.lists(st.integers(-GIB // 2, GIB // 2), min_size=20, max_size=120), st.integers(0, STEP))
def test_noise_of_any_size_resizes_at_most_twice_a_dwell(noise: list[int], base: int) -> None:
    """Twice the margin at the second time: 3 steps are more than this noise has."""
    times = _resized_at(noise, base, 0.05, fills=False)
    assert len(times) <= 2


@given(st.lists(st.tuples(st.integers(-4 * GIB, 4 * GIB), st.integers(0, GIB), st.booleans()), max_size=60))
def test_the_budget_stays_within_its_bounds_whatever_happens(turns: list[tuple[int, int, bool]]) -> None:
    state, ghosts = first_state(LIMITS, device(6 * GIB), 0.0), 0
    for turn, (headroom, asked, out_of_memory) in enumerate(turns):
        ghosts += asked
        cache, before = full(state.capacity_bytes, ghosts), state.capacity_bytes
        if out_of_memory:
            decision = after_out_of_memory(LIMITS, state, cache, turn * 4.0)
        else:
            decision = decide(LIMITS, state, with_headroom(headroom), cache, turn * 4.0)
        state = decision.state
        assert LIMITS.min_bytes <= state.capacity_bytes <= LIMITS.max_bytes
        assert state.capacity_bytes <= before + STEP
        assert (state.capacity_bytes != before) == (decision.reason is not None)
        assert not (headroom < 0 and state.capacity_bytes > before)
