"""What share of the look-ups of the last minutes needed no extraction?

Look-ups and extractions are counted apart, as the counters are from which the operator makes the service's rate: an extraction
for which several wait is one, and none where an enrolment began it.
"""

from __future__ import annotations

import math
from typing import Final

WINDOW_SECONDS: Final = 300.0
"""The 5 minutes over which the hit rate is stated everywhere (alerts, status, autoscaling)."""

_SLOTS: Final = 30
"""The oldest slot leaves as a whole: with 30 of them the window is exact to 10 s."""


class HitWindow:
    """Extractions and look-ups of a sliding window; bounded memory.  Lives on one event loop; ``now`` is seconds of any clock."""

    def __init__(self, window_seconds: float = WINDOW_SECONDS) -> None:
        self._slot_seconds = window_seconds / _SLOTS
        self._extractions = [0] * _SLOTS
        self._lookups = [0] * _SLOTS
        self._newest = 0
        """Number of the newest slot, counted from the clock's zero."""

    def looked_up(self, now: float) -> None:
        """A voice was looked up, wherever it was found."""
        self._lookups[self._slot(now)] += 1

    def extracted(self, now: float) -> None:
        """A voice was extracted because a look-up had not found it."""
        self._extractions[self._slot(now)] += 1

    def ratio(self, now: float) -> float:
        """Hits per look-up, 0 to 1; NaN without look-ups."""
        self._slot(now)
        lookups = sum(self._lookups)
        # Whoever set an extraction off may have left before its end, and then it is no look-up.
        return max(0.0, 1 - sum(self._extractions) / lookups) if lookups else math.nan

    def _slot(self, now: float) -> int:
        """Where to count; slots that were last used a window ago are emptied.  A clock that goes back counts as now."""
        newest = max(self._newest, int(now / self._slot_seconds))
        for number in range(max(self._newest + 1, newest - _SLOTS + 1), newest + 1):
            self._extractions[number % _SLOTS] = self._lookups[number % _SLOTS] = 0
        self._newest = newest
        return newest % _SLOTS
