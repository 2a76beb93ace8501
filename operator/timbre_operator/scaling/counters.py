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
EXTRACTIONS: Final = f"{metrics.VOICE_EXTRACTION.name}_count{{speech}}"
"""How many extractions speech waited for: the histogram's own count.  Those of enrolments are no look-up that missed."""
JOBS_PENDING: Final = "timbre_jobs_pending"
"""A number of the whole service, which every pod shows; absent where the server has no jobs."""
_NEAREST_FIRST: Final = ("device", "host", "redis")
"""Each look-up asks the nearest tier exactly once, and what the farthest one has not is extracted; a pod has no series of a
tier that it lacks."""
_HIT, _MISS = "hit", "miss"


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
    """Of voices."""
    misses: float
    """Those that no tier had."""
    extractions: float
    """That ended; under load later than the misses that they are for."""


class CounterReader:
    """The counters of one pod, which start again from zero with each of its processes."""

    def __init__(self) -> None:
        self._last: Mapping[str, float] | None = None
        self._at = 0.0

    def read(self, sample: PodSample, now: float) -> Progress | None:
        """What happened since the sample before; None with the first, which is of an unknown time."""
        current = {name: _total(sample.counters, name) for name in (SYNTHESIS, EXTRACTION, TRANSFER, EXTRACTIONS)}
        current["lookups"], current["misses"] = _lookups(sample.counters)
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
            grown["misses"],
            grown[EXTRACTIONS],
        )


def gauge(sample: PodSample, name: str) -> float:
    """A value that is not negative; 0 where there is none."""
    return _total(sample.counters, name)


def _lookups(counters: Mapping[str, float]) -> tuple[float, float]:
    """All look-ups, and those that no tier answered."""
    tiers = [tier for tier in _NEAREST_FIRST if _key(tier, _MISS) in counters]
    if not tiers:
        return 0.0, 0.0
    lookups = sum(_total(counters, _key(tiers[0], outcome)) for outcome in (_HIT, _MISS))
    return lookups, _total(counters, _key(tiers[-1], _MISS))


def _key(tier: str, outcome: str) -> str:
    return sample_key(metrics.VOICE_CACHE_LOOKUPS, tier, outcome)


def _total(counters: Mapping[str, float], name: str) -> float:
    value = counters.get(name, 0.0)
    return value if isfinite(value) and value > 0.0 else 0.0
