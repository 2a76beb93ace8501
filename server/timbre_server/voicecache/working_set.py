"""How much memory would give the hit rate that we want?

Each look-up of a voice that was used before has a distance: the bytes of all voices that were used since, its own included.
A cache of that size, or larger, that drops what was unused for longest would have hit.  The distances' distribution is the
miss-ratio curve for every size at once, also for sizes that no tier has: it needs keys and sizes, not features.

Distances are taken on a sample of the keys, chosen by their hash, and scaled up.  SIEVE, which the tiers use, needs less than
that curve says where many voices come once.

References: Waldspurger et al., Efficient MRC Construction with SHARDS, FAST 2015 (sampling, bounded size, the correction for
hot keys that are or are not in the sample).
"""

from __future__ import annotations

import math
from collections import OrderedDict
from typing import Final

import numpy as np
import xxhash

MAX_SAMPLES: Final = 8192
"""Keys that are followed: with fewer voices the curve is exact.  With five times as many (Zipf 1.0) it is off by 0.03 on
average, and following a key costs 3 us (both measured on a 2-core Xeon)."""

HALF_LIFE_SECONDS: Final = 3600.0
"""After how long a look-up counts half: as slow as a fleet scales, as fast as the day changes."""

_HORIZON_HALF_LIVES: Final = 4
"""A key that was unused for so long is no longer followed: what it was then compared with weighs 1/16 by now."""

_MIN_LOOKUPS: Final = 200
"""Before as many there is no answer: the standard error of a share of 80 % is 3 % then."""

_STEPS_PER_OCTAVE: Final = 16
"""Resolution of the curve: distances are rounded up by at most 2**(1/16), 4.4 %."""

_STEPS: Final = 48 * _STEPS_PER_OCTAVE + 1
"""Distances up to 256 TiB."""

_HASHES: Final = 1 << 64

_MAX_DOUBLINGS: Final = 500
"""Weights double with each half-life; before they leave the range of a float (2**1023) all are scaled down."""


class WorkingSet:
    """The miss-ratio curve of the recent look-ups; bounded memory (about 3 MB).  Lives on one event loop.

    ``now`` is seconds of any clock that does not go back.
    """

    def __init__(self, *, max_samples: int = MAX_SAMPLES, half_life_seconds: float = HALF_LIFE_SECONDS) -> None:
        self._max_samples = max_samples
        self._half_life_seconds = half_life_seconds
        self._limit = _HASHES
        """Keys whose hash is below it are followed."""
        self._followed: OrderedDict[str, tuple[int, float]] = OrderedDict()
        """Position and time of the last use of each followed key, the oldest first."""
        # Renumbering costs as much as a look-up of each key, and comes after three times as many look-ups at the earliest.
        self._sizes = np.zeros(4 * max_samples, np.int64)
        """Bytes by position; 0 where the key was used again since."""
        self._next = 0
        """The position of the next use."""
        self._weights = np.zeros(_STEPS)
        """Weight of look-ups by distance, scaled up; step ``i`` ends at ``2**(i / _STEPS_PER_OCTAVE)`` bytes."""
        self._sampled = 0.0
        """Weight of the look-ups of followed keys, scaled up."""
        self._total = 0.0
        """Weight of all look-ups."""
        self._lookups = 0
        self._origin: float | None = None
        """When a look-up weighs 1."""

    def used(self, key: str, size_bytes: int, now: float) -> None:
        """Counts a look-up, found or not.  Leave out recordings that come with their requests: no memory keeps them."""
        self._expire(now)
        weight = self._weight(now)
        self._lookups += 1
        self._total += weight
        if _hash(key) >= self._limit:
            return
        scale = _HASHES / self._limit
        self._sampled += weight * scale
        if before := self._followed.get(key):
            position, _ = before
            others_bytes = int(self._sizes[position + 1 : self._next].sum())
            self._unfollow(key)
            self._weights[_step_over(others_bytes * scale + size_bytes)] += weight * scale
        self._follow(key, size_bytes, now)

    def placed(self, key: str, size_bytes: int, now: float) -> None:
        """Something came into memory before anybody looked it up: its first look-up is not one of something new."""
        self._expire(now)
        if _hash(key) >= self._limit:
            return
        if key in self._followed:
            self._unfollow(key)
        self._follow(key, size_bytes, now)

    def miss_ratio(self, capacity_bytes: float) -> float:
        """Share of the look-ups that a cache of that size would have missed, first ones included; NaN without look-ups."""
        if self._total == 0:
            return math.nan
        reached = float(self._weights[: _step_under(capacity_bytes) + 1].sum()) + self._lacking()
        return 1 - min(1.0, max(0.0, reached / self._total))

    def working_set_bytes(self, target_hit_rate: float) -> float:
        """The least memory with that share of hits, 0 to 1; 0 before there were enough look-ups to tell.

        Where no memory reaches the target, because too many voices come for the first time: that beyond which more gains
        nothing.
        """
        if self._lookups < _MIN_LOOKUPS or not self._weights.any():
            return 0.0
        reached = np.cumsum(self._weights)
        wanted = min(target_hit_rate * self._total - self._lacking(), float(reached[-1]))
        least = int((self._weights > 0).argmax())
        step = max(least, int(np.searchsorted(reached, wanted * (1 - 1e-9))))  # sums of floats end a little below
        return float(2 ** (step / _STEPS_PER_OCTAVE))

    def _lacking(self) -> float:
        """What followed keys have too little of all look-ups: hot keys among the others, whose distances are short."""
        return self._total - self._sampled

    def _weight(self, now: float) -> float:
        if self._origin is None:
            self._origin = now
        doublings = (now - self._origin) / self._half_life_seconds
        if doublings > _MAX_DOUBLINGS:
            scale = 2.0**-doublings
            self._weights *= scale
            self._sampled *= scale
            self._total *= scale
            self._origin, doublings = now, 0.0
        return float(2.0**doublings)

    def _follow(self, key: str, size_bytes: int, now: float) -> None:
        if self._next == len(self._sizes):
            self._renumber()
        self._followed[key] = self._next, now
        self._sizes[self._next] = size_bytes
        self._next += 1
        while len(self._followed) > self._max_samples:
            self._limit //= 2
            for other in [other for other in self._followed if _hash(other) >= self._limit]:
                self._unfollow(other)

    def _expire(self, now: float) -> None:
        horizon = now - _HORIZON_HALF_LIVES * self._half_life_seconds
        while self._followed:
            key = next(iter(self._followed))
            if self._followed[key][1] >= horizon:
                return
            self._unfollow(key)
            if self._limit < _HASHES and len(self._followed) < self._max_samples // 4:
                # There is room for more keys again; those that are followed from here on count as new once.
                self._limit = self._limit * 2 if self._followed else _HASHES

    def _unfollow(self, key: str) -> None:
        position, _ = self._followed.pop(key)
        self._sizes[position] = 0

    def _renumber(self) -> None:
        sizes = [int(self._sizes[position]) for position, _ in self._followed.values()]
        self._sizes[:] = 0
        self._sizes[: len(sizes)] = sizes
        for number, (key, (_, used_at)) in enumerate(self._followed.items()):
            self._followed[key] = number, used_at
        self._next = len(sizes)


def _hash(key: str) -> int:
    return xxhash.xxh3_64_intdigest(key.encode())


def _step_over(size_bytes: float) -> int:
    """The first step that ends at that size or beyond."""
    return min(_STEPS - 1, math.ceil(_STEPS_PER_OCTAVE * math.log2(max(1.0, size_bytes)) - 1e-9))


def _step_under(size_bytes: float) -> int:
    """The last step that ends at that size or before; -1 below a byte."""
    if size_bytes < 1:
        return -1
    return min(_STEPS - 1, math.floor(_STEPS_PER_OCTAVE * math.log2(size_bytes) + 1e-9))
