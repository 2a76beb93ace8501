"""What has one pod done since it was asked last, and what is it asked to do per second?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Final

from timbre_contract import metrics
from timbre_operator.observed import PodSample, sample_key

SYNTHESIS: Final = sample_key(metrics.ENGINE_DEMAND, "synthesis")
EXTRACTION: Final = sample_key(metrics.ENGINE_DEMAND, "extraction")
TRANSFER: Final = sample_key(metrics.ENGINE_DEMAND, "transfer")
QUEUED: Final = sample_key(metrics.QUEUED_REQUESTS)
IN_FLIGHT: Final = sample_key(metrics.PENDING_REQUESTS)
EXTRACTIONS: Final = metrics.VOICE_EXTRACTION.name + "_count"
"""How many extractions there were: the histogram's own count."""
JOBS_PENDING: Final = "timbre_jobs_pending"
"""A number of the whole service, which every pod shows; absent where the server has no jobs."""
_NEAREST_TIERS: Final = ("device", "host")
"""Each look-up asks the nearest tier exactly once; a pod without a device has no series of it."""
_OUTCOMES: Final = ("hit", "miss")


@dataclass(frozen=True)
class Rates:
    """Seconds demanded per second, by kind."""

    synthesis: float = 0.0
    extraction: float = 0.0
    transfer: float = 0.0

    @property
    def total(self) -> float:
        return self.synthesis + self.extraction + self.transfer


@dataclass(frozen=True)
class Progress:
    """What a pod did between two samples."""

    rates: Rates
    lookups: float
    """Of voices, from their nearest tier on."""
    extractions: float


class CounterReader:
    """The counters of one pod, which start again from zero with each of its processes."""

    def __init__(self) -> None:
        self._last: Mapping[str, float] | None = None
        self._at = 0.0

    def read(self, sample: PodSample, now: float) -> Progress | None:
        """What happened since the sample before; None with the first, which is of an unknown time."""
        current = {name: _total(sample.counters, name) for name in (SYNTHESIS, EXTRACTION, TRANSFER, EXTRACTIONS)}
        current["lookups"] = _lookups(sample.counters)
        before, elapsed_seconds = self._last, now - self._at
        if before is not None and elapsed_seconds <= 0.0:
            return None
        self._last, self._at = current, now
        if before is None:
            return None
        # A counter that is smaller than before began anew: what it shows came since.
        grown = {name: value if value < before[name] else value - before[name] for name, value in current.items()}
        return Progress(
            Rates(*(grown[name] / elapsed_seconds for name in (SYNTHESIS, EXTRACTION, TRANSFER))),
            grown["lookups"],
            grown[EXTRACTIONS],
        )


def gauge(sample: PodSample, name: str) -> float:
    """A value that is not negative; 0 where there is none."""
    return _total(sample.counters, name)


def _lookups(counters: Mapping[str, float]) -> float:
    for tier in _NEAREST_TIERS:
        keys = [sample_key(metrics.VOICE_CACHE_LOOKUPS, tier, outcome) for outcome in _OUTCOMES]
        if any(key in counters for key in keys):
            return sum(_total(counters, key) for key in keys)
    return 0.0


def _total(counters: Mapping[str, float], name: str) -> float:
    value = counters.get(name, 0.0)
    return value if isfinite(value) and value > 0.0 else 0.0
