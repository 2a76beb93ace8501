"""How well do the tiers serve the look-ups of this pod, which voices are asked for, and how much memory would be enough?"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Protocol

from timbre_server.domain.voice import Features, feature_bytes
from timbre_server.voicecache.lookups import HitWindow
from timbre_server.voicecache.popularity import Popularity
from timbre_server.voicecache.working_set import WorkingSet


class UseObserver(Protocol):
    """What is told of the use of voices; ``telemetry.metrics.Metrics`` is one."""

    def watch_voice_use(self, hit_ratio: Callable[[], float], working_set_bytes: Callable[[], float]) -> None: ...


class VoiceUse:
    """Look-ups of the last minutes, the working set and the popularity of voices; lives on one event loop."""

    def __init__(
        self, observer: UseObserver, *, target_hit_rate: float = 0.8, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``target_hit_rate``: 0 to 1; ``clock`` gives seconds and never goes back."""
        self._window = HitWindow()
        self._working_set = WorkingSet()
        self._popularity = Popularity()
        self._clock = clock
        observer.watch_voice_use(
            lambda: self._window.ratio(clock()), lambda: self._working_set.working_set_bytes(target_hit_rate)
        )

    def looked_up(self, key: str, features: Features, *, one_off: bool) -> None:
        """A look-up got these features; 5 us."""
        now = self._clock()
        self._window.looked_up(now)
        if not one_off:
            self._working_set.used(key, feature_bytes(features), now)
            self._popularity.used(key, now)

    def extracted(self) -> None:
        """A look-up found nothing, so the engine has listened to a recording: once, for all who waited."""
        self._window.extracted(self._clock())

    def prepared(self, key: str, features: Features) -> None:
        """These features were put into memory for whoever speaks next: no look-up, and no use yet."""
        self._working_set.placed(key, feature_bytes(features), self._clock())

    def hottest(self) -> Iterator[tuple[str, float]]:
        """Keys of voices with their uses of late, the hottest first, whether they are still held or not."""
        return self._popularity.hottest(self._clock())
