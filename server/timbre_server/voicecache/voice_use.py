"""How well do the tiers serve the look-ups of this pod, and how much memory would serve them as well as is wanted?"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Protocol

from timbre_server.domain.voice import Features, feature_bytes
from timbre_server.voicecache.lookups import HitWindow
from timbre_server.voicecache.working_set import WorkingSet


class UseObserver(Protocol):
    """What is told of the use of voices; ``telemetry.metrics.Metrics`` is one."""

    def watch_voice_use(self, hit_ratio: Callable[[], float], working_set_bytes: Callable[[], float]) -> None: ...


class VoiceUse:
    """Look-ups of the last minutes, and the working set; lives on one event loop."""

    def __init__(
        self, observer: UseObserver, *, target_hit_rate: float = 0.8, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``target_hit_rate``: 0 to 1; ``clock`` gives seconds and never goes back."""
        self._window = HitWindow()
        self._working_set = WorkingSet()
        self._clock = clock
        observer.watch_voice_use(
            lambda: self._window.ratio(clock()), lambda: self._working_set.working_set_bytes(target_hit_rate)
        )

    def looked_up(self, key: str, features: Features, *, extracted: bool, one_off: bool) -> None:
        """A look-up got these features; 5 us."""
        now = self._clock()
        self._window.count(hit=not extracted, now=now)
        if not one_off:
            self._working_set.used(key, feature_bytes(features), now)
