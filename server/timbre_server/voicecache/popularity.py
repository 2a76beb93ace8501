"""Which of the voices of this pod are asked for most?  What would be missed most if the pod went."""

from __future__ import annotations

import heapq
from collections.abc import Iterator
from typing import Final

from timbre_server.voicecache.working_set import HALF_LIFE_SECONDS

MAX_VOICES: Final = 8192
"""Voices that are counted, about 1 MB: as many as the working set follows, and a hundred times what anybody asks for."""

_MAX_DOUBLINGS: Final = 500
"""Weights double with each half-life; before they leave the range of a float (2**1023) all are scaled down."""


class Popularity:
    """Uses of each voice, recent ones counting more; bounded memory.  Lives on one event loop.

    ``now`` is seconds of any clock that does not go back.
    """

    def __init__(self, *, max_voices: int = MAX_VOICES, half_life_seconds: float = HALF_LIFE_SECONDS) -> None:
        self._max_voices = max_voices
        self._half_life_seconds = half_life_seconds
        self._weights: dict[str, float] = {}
        self._origin = 0.0
        """When a use weighs 1."""

    def used(self, key: str, now: float) -> None:
        """Counts a use of the voice of that key; under 1 us."""
        doublings = (now - self._origin) / self._half_life_seconds
        if doublings > _MAX_DOUBLINGS:
            self._scale_down(doublings, now)
            doublings = 0.0
        self._weights[key] = self._weights.get(key, 0.0) + 2.0**doublings
        if len(self._weights) > self._max_voices:
            self._forget_the_coldest()

    def hottest(self, now: float) -> Iterator[tuple[str, float]]:
        """Keys with their uses, the hottest first; a use of a half-life ago counts half."""
        scale = 2.0 ** -((now - self._origin) / self._half_life_seconds)
        # A heap: who wants a few of thousands does not pay for their order.
        heap = [(-weight, key) for key, weight in self._weights.items()]
        heapq.heapify(heap)
        while heap:
            weight, key = heapq.heappop(heap)
            yield key, -weight * scale

    def _forget_the_coldest(self) -> None:
        """Half of them, so that the cost of their order is shared by as many new voices."""
        kept = heapq.nlargest(self._max_voices // 2, self._weights.items(), key=lambda item: item[1])
        self._weights = dict(kept)

    def _scale_down(self, doublings: float, now: float) -> None:
        scale = 2.0**-doublings
        self._weights = {key: weight * scale for key, weight in self._weights.items() if weight * scale}
        self._origin = now
