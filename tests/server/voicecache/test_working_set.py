"""The estimated curve beside the exact one, from the stack of last uses itself."""

from __future__ import annotations

import math
from bisect import bisect_right

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.voicecache.working_set import HALF_LIFE_SECONDS, WorkingSet

STEP = 2 ** (1 / 16)
"""The resolution that the module states."""
NEVER = 1e15
"""A half-life in seconds."""

Look = tuple[str, int]
"""Key and size in bytes."""


def distances(looks: list[Look]) -> list[float]:
    """Of each look-up: bytes of what was used since the last one of its key, its own included; infinite for a first one."""
    stack: list[Look] = []
    found = []
    for key, size_bytes in looks:
        depth = next((depth for depth, (other, _) in enumerate(stack) if other == key), None)
        if depth is None:
            found.append(math.inf)
        else:
            found.append(sum(size for _, size in stack[:depth]) + size_bytes)
            stack.pop(depth)
        stack.insert(0, (key, size_bytes))
    return found


def misses(sorted_distances: list[float], capacity_bytes: float) -> float:
    """Share that a cache of that size misses."""
    return 1 - bisect_right(sorted_distances, capacity_bytes) / len(sorted_distances)


def seen(looks: list[Look], *, max_samples: int = 4096) -> WorkingSet:
    working_set = WorkingSet(max_samples=max_samples, half_life_seconds=NEVER)
    for key, size_bytes in looks:
        working_set.used(key, size_bytes, 0.0)
    return working_set


def zipf(voices: int, requests: int, *, seed: int = 1) -> list[Look]:
    """A trace; every voice has a size of its own."""
    random = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, voices + 1)
    sizes = random.integers(1_000, 200_000, voices)
    chosen = random.choice(voices, requests, p=popularity / popularity.sum())
    return [(f"voice-{voice}", int(sizes[voice])) for voice in chosen]


LOOKS = st.lists(st.tuples(st.sampled_from("abcdefgh"), st.integers(1, 10_000)), min_size=1, max_size=60)


@given(LOOKS, st.floats(1, 100_000))
def test_while_every_key_is_followed_the_curve_is_exact_to_its_resolution(
    looks: list[Look], capacity_bytes: float
) -> None:
    exact = sorted(distances(looks))
    estimated = seen(looks, max_samples=16).miss_ratio(capacity_bytes)
    assert estimated <= misses(exact, capacity_bytes / (STEP**2 * (1 + 1e-6))) + 1e-9
    assert estimated >= misses(exact, capacity_bytes * (1 + 1e-6)) - 1e-9


@pytest.mark.parametrize("target", [0.3, 0.5, 0.6])
def test_the_working_set_is_the_least_memory_with_the_target_rate(target: float) -> None:
    looks = zipf(300, 3_000)
    exact = sorted(distances(looks))
    size_bytes = seen(looks).working_set_bytes(target)
    assert 1 - misses(exact, size_bytes) >= target
    assert 1 - misses(exact, size_bytes / STEP**2) < target


def test_a_sample_is_near_the_exact_curve() -> None:
    looks = zipf(8_000, 30_000)
    exact, sampled = seen(looks, max_samples=1 << 14), seen(looks, max_samples=1 << 11)
    capacities = [2.0**octave for octave in range(20, 31)]
    errors = [abs(exact.miss_ratio(size) - sampled.miss_ratio(size)) for size in capacities]
    assert len(sampled._followed) <= 1 << 11
    assert np.mean(errors) <= 0.03
    assert max(errors) > 0  # or it was no sample
    for target in (0.4, 0.5, 0.6):
        assert sampled.working_set_bytes(target) == pytest.approx(exact.working_set_bytes(target), rel=0.4)


def test_before_enough_look_ups_there_is_no_answer() -> None:
    assert math.isnan(WorkingSet().miss_ratio(1e9))
    assert seen([("a", 10)] * 199).working_set_bytes(0.8) == 0
    assert 10 <= seen([("a", 10)] * 200).working_set_bytes(0.8) <= 10 * STEP


def test_voices_that_come_once_give_no_working_set() -> None:
    assert seen([(str(number), 10) for number in range(500)]).working_set_bytes(0.8) == 0


def test_a_target_that_no_memory_reaches_gives_what_still_pays() -> None:
    looks = [look for number in range(200) for look in (("a", 1_000), (f"once-{number}", 1_000))]
    assert 2_000 <= seen(looks).working_set_bytes(0.8) <= 2_000 * STEP


def test_what_was_placed_is_no_look_up_and_its_first_one_is_not_one_of_something_new() -> None:
    working_set = WorkingSet()
    working_set.placed("a", 1_000, 0.0)
    working_set.placed("a", 1_000, 0.0)
    assert math.isnan(working_set.miss_ratio(1e9))
    working_set.placed("b", 500, 0.0)
    working_set.used("a", 1_000, 0.0)
    assert working_set.miss_ratio(1_500 * STEP) == 0
    assert working_set.miss_ratio(1_500 / STEP**2) == 1


def test_one_voice_needs_its_own_size() -> None:
    working_set = seen([("a", 1_000)] * 300)
    assert working_set.miss_ratio(999 / STEP) == 1
    assert working_set.miss_ratio(1_000 * STEP) == pytest.approx(1 / 300)
    assert working_set.miss_ratio(0) == 1


def test_old_look_ups_fade() -> None:
    working_set = WorkingSet()
    for number in range(1_000):
        working_set.used(f"voice-{number % 50}", 1_000, 0.0)
    assert working_set.working_set_bytes(0.8) >= 50_000
    for _ in range(400):
        working_set.used("a", 1_000, 3 * HALF_LIFE_SECONDS)
    assert working_set.working_set_bytes(0.7) <= 1_000 * STEP


def test_years_of_look_ups_leave_the_range_of_numbers_alone() -> None:
    working_set = WorkingSet(half_life_seconds=1)
    for second in range(0, 10_000, 2):
        working_set.used(str(second // 2 % 2), 1_000, float(second))
    assert working_set.working_set_bytes(0.8) == pytest.approx(2_000, rel=0.05)
    assert working_set.miss_ratio(2_000 * STEP) == pytest.approx(0, abs=1e-6)


def test_its_memory_is_bounded_in_a_flood_of_voices() -> None:
    working_set = WorkingSet(max_samples=64, half_life_seconds=NEVER)
    for number in range(20_000):
        working_set.used(f"voice-{number}", 1_000, 0.0)
        assert len(working_set._followed) <= 64
    assert len(working_set._sizes) == 256


def test_after_a_flood_it_follows_every_voice_again() -> None:
    working_set = WorkingSet(max_samples=64)
    for number in range(5_000):
        working_set.used(f"once-{number}", 1_000, 0.0)
    later = 10 * HALF_LIFE_SECONDS
    for number in range(2_000):
        working_set.used(f"voice-{number % 10}", 1_000, later + number)
    assert set(working_set._followed) == {f"voice-{number}" for number in range(10)}
    assert working_set.working_set_bytes(0.9) == pytest.approx(10_000, rel=0.05)
