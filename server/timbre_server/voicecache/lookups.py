"""What share of the look-ups of the last minutes needed no extraction?"""

from __future__ import annotations

import math
from typing import Final

WINDOW_SECONDS: Final = 300.0
"""The 5 minutes over which the hit rate is stated everywhere (alerts, status, autoscaling)."""

_SLOTS: Final = 30
"""The oldest slot leaves as a whole: with 30 of them the window is exact to 10 s."""


class HitWindow:
    """Hits and look-ups of a sliding window; bounded memory.  Lives on one event loop; ``now`` is seconds of any clock."""

    def __init__(self, window_seconds: float = WINDOW_SECONDS) -> None:
        self._slot_seconds = window_seconds / _SLOTS
        self._hits = [0] * _SLOTS
        self._lookups = [0] * _SLOTS
        self._newest = 0
        """Number of the newest slot, counted from the clock's zero."""

    def count(self, *, hit: bool, now: float) -> None:
        """One look-up."""
        slot = self._slot(now)
        self._lookups[slot] += 1
        self._hits[slot] += hit

    def ratio(self, now: float) -> float:
        """Hits per look-up, 0 to 1; NaN without look-ups."""
        self._slot(now)
        lookups = sum(self._lookups)
        return sum(self._hits) / lookups if lookups else math.nan

    def _slot(self, now: float) -> int:
        """Where to count; slots that were last used a window ago are emptied.  A clock that goes back counts as now."""
        newest = max(self._newest, int(now / self._slot_seconds))
        for number in range(max(self._newest + 1, newest - _SLOTS + 1), newest + 1):
            self._hits[number % _SLOTS] = self._lookups[number % _SLOTS] = 0
        self._newest = newest
        return newest % _SLOTS
