"""Is a voice had sooner from the shared tier, or by extracting it here again?  Decided by what either took so far."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

WEIGHT: Final = 0.1
"""Of the newest measurement in each mean: about the last 20 count, so that a link that changed is known within 20 voices."""

ENOUGH: Final = 8
"""Measurements of either kind before anything but fetching is tried: a first extraction pays for cold caches."""

MARGIN: Final = 1.5
"""Fetching must be slower by this: an extraction also takes engine time from speech, and both means are noisy."""

TRIAL_EVERY: Final = 16
"""While extracting is cheaper, each 16th voice is fetched nevertheless, or the link could never prove that it got better."""


@dataclass
class _Rate:
    """Seconds per unit over decayed sums, which weigh big values more than a mean of ratios would."""

    seconds: float = 0.0
    units: float = 0.0
    count: int = 0

    def measured(self, seconds: float, units: float) -> None:
        weight = max(WEIGHT, 1 / (self.count + 1))
        self.seconds += weight * (seconds - self.seconds)
        self.units += weight * (units - self.units)
        self.count += 1

    def per_unit(self) -> float:
        return self.seconds / self.units if self.units > 0 else 0.0


class Economy:
    """What it costs to fetch and to extract, for one engine and one link; pure."""

    def __init__(self) -> None:
        self._fetches = _Rate()
        self._extractions = _Rate()
        self._lengths = _Rate()
        self._asked = 0

    @property
    def fetch_seconds_per_byte(self) -> float:
        """0 while unknown."""
        return self._fetches.per_unit()

    @property
    def extraction_seconds_per_second(self) -> float:
        """Seconds of work per second of reference; 0 while unknown."""
        return self._extractions.per_unit()

    def fetched(self, size_bytes: int, seconds: float) -> None:
        """Features came from the shared tier, decoded and ready, in so many seconds."""
        self._fetches.measured(seconds, size_bytes)

    def extracted(self, reference_seconds: float, size_bytes: int, seconds: float) -> None:
        """Features were extracted from so many seconds of reference; ``seconds`` holds its way to here too."""
        self._extractions.measured(seconds, reference_seconds)
        self._lengths.measured(reference_seconds, size_bytes)

    def prefers_fetching(self) -> bool:
        """Whether to ask the shared tier at all for the next voice, of which nothing is known yet.

        Bytes and work both grow with the reference, so its length cancels out: compared is what one second of it costs.
        """
        if min(self._fetches.count, self._extractions.count) < ENOUGH:
            return True
        reference_seconds_per_byte = self._lengths.per_unit()
        fetching = self.fetch_seconds_per_byte / reference_seconds_per_byte if reference_seconds_per_byte else 0.0
        if fetching <= MARGIN * self.extraction_seconds_per_second:
            return True
        self._asked += 1
        return self._asked % TRIAL_EVERY == 0
