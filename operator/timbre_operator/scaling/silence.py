"""What of a pod that does not answer: is its last value good, is the total to be held, or is it lost?"""

from __future__ import annotations

from enum import Enum
from typing import Final

PATIENCE_PERIODS: Final = 3
"""Scrapes in a row that may fail before somebody is told: a pod that is busy or restarts is back by then."""
HOLD_SECONDS: Final = 300.0
"""For so long nothing is scaled down on missing data: time to look at it, and the HPA's own stabilisation."""


class Hearing(Enum):
    """How well a pod is heard."""

    GOOD = "its last value counts"
    SILENT = "its last value counts, and the totals may not fall"
    LOST = "it counts no more"


class Silence:
    """The unanswered scrapes of one pod."""

    def __init__(self) -> None:
        self._failures = 0
        self._since = 0.0

    def broken(self) -> None:
        """It answered."""
        self._failures = 0

    def lasts(self, now: float) -> None:
        """It did not answer once more."""
        self._failures += 1
        if self._failures == PATIENCE_PERIODS + 1:
            self._since = now

    def hearing(self, now: float) -> Hearing:
        """What that means at ``now``."""
        if self._failures <= PATIENCE_PERIODS:
            return Hearing.GOOD
        return Hearing.SILENT if now - self._since < HOLD_SECONDS else Hearing.LOST
