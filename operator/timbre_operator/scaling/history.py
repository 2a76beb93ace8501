"""How often were voices found without extraction, and what was asked for, over the last minutes?"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from typing import Final

from timbre_operator.observed import Trend

HIT_RATE_SECONDS: Final = 300.0
"""The five minutes over which the hit rate is stated everywhere: status, alerts, the server's own gauge."""
RECENT_SECONDS: Final = 30.0
"""Two looks of the HPA: a decision and its cause lie in it, and not much of what was before."""


@dataclass(frozen=True)
class Stretch:
    """What a service did in one period."""

    ended_at: float
    seconds: float
    lookups: float = 0.0
    misses: float = 0.0
    extractions: float = 0.0
    synthesis_seconds: float = 0.0
    """Demanded in it, as seconds of the engine."""
    extraction_seconds: float = 0.0
    queue: float = 0.0
    """At its end."""


class History:
    """The last five and a half minutes of a service."""

    def __init__(self) -> None:
        self._stretches: deque[Stretch] = deque()

    def add(self, stretch: Stretch) -> None:
        """The newest."""
        self._stretches.append(stretch)
        while stretch.ended_at - self._stretches[0].ended_at >= HIT_RATE_SECONDS + RECENT_SECONDS:
            self._stretches.popleft()

    def hit_rate_percent(self, now: float) -> int | None:
        """Of five minutes, rounded down; None without look-ups."""
        return _hit_rate_percent(self._between(now - HIT_RATE_SECONDS, now))

    def lookups_per_second(self, now: float) -> float:
        """Of the same five minutes, as if they were whole ones: a service that has just begun has had few."""
        return self._between(now - HIT_RATE_SECONDS, now).lookups / HIT_RATE_SECONDS

    def trend(self, now: float) -> Trend:
        """The last half minute beside the five minutes before it."""
        recent = self._between(now - RECENT_SECONDS, now)
        before = self._between(now - RECENT_SECONDS - HIT_RATE_SECONDS, now - RECENT_SECONDS)
        return Trend(
            hit_rate_percent=_hit_rate_percent(recent),
            hit_rate_before_percent=_hit_rate_percent(before),
            synthesis_before_seconds=before.synthesis_seconds / before.seconds if before.seconds else 0.0,
            extraction_before_seconds=before.extraction_seconds / before.seconds if before.seconds else 0.0,
            queue_peak=recent.queue,
        )

    def _between(self, begin: float, end: float) -> Stretch:
        """All that ended after ``begin`` and no later than ``end``, as one."""
        parts = [stretch for stretch in self._stretches if begin < stretch.ended_at <= end]
        return Stretch(
            end,
            seconds=sum(part.seconds for part in parts),
            lookups=sum(part.lookups for part in parts),
            misses=sum(part.misses for part in parts),
            extractions=sum(part.extractions for part in parts),
            synthesis_seconds=sum(part.synthesis_seconds for part in parts),
            extraction_seconds=sum(part.extraction_seconds for part in parts),
            queue=max((part.queue for part in parts), default=0.0),
        )


def _hit_rate_percent(stretch: Stretch) -> int | None:
    if not stretch.lookups:
        return None
    # Extractions end later than their look-ups; a voice is extracted without asking the farthest tier where that is slower.
    extracted = max(stretch.misses, stretch.extractions)
    return int(max(0.0, 100 * (1 - extracted / stretch.lookups)) + 1e-9)
