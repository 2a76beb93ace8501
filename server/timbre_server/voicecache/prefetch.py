"""How do many voices come from the shared tier into memory before anybody asks for them?

All that go together are asked for at once.  Each is checked and kept while Redis still sends those after it, so that the two
work at the same time, and what is checked still lies in the processor's cache.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import chain, islice
from typing import Final

from timbre_server.domain.voice import Features, feature_bytes
from timbre_server.errors import StoreUnavailable
from timbre_server.voicecache.memory_tiers import MemoryTiers
from timbre_server.voicecache.shared_tier import SharedTier

VOICES_AT_ONCE: Final = 16
"""Bounds what is on its way although memory may be full already: 64 MB of the largest voices that we know (4 MiB)."""


class Prefetch:
    """Voices on their way into whatever memory has room for them, in the order in which they are wanted."""

    def __init__(self, shared: SharedTier, memory: MemoryTiers, is_wanted: Callable[[str], bool]) -> None:
        """``is_wanted``: whether the recording with that digest may still be kept."""
        self._shared = shared
        self._memory = memory
        self._is_wanted = is_wanted
        self._kept: set[str] = set()
        """Keys."""
        self._for_device: dict[str, tuple[str, Features]] = {}
        """Digest and features by key."""
        self._for_device_bytes = 0
        self._is_full = False

    async def run(self, wanted: Iterable[tuple[str, str]], told: Callable[[int], None]) -> int:
        """How many of these (digest, key) pairs were kept; ends when memory is full, or the shared tier is away.

        ``told`` hears how many they are so far, after each ``VOICES_AT_ONCE``.

        Pairs are taken as they are asked for: the first voice is on its way before the key of the second is made.
        """
        coming, is_away = iter(wanted), False
        while not (self._is_full or is_away) and (first := next(coming, None)):
            try:
                await self._shared.fetch_many(chain([first], islice(coming, VOICES_AT_ONCE - 1)), self._arrived)
            except StoreUnavailable:
                is_away = True
            await self._upload()
            told(len(self._kept))
        return len(self._kept)

    def _arrived(self, digest: str, key: str, features: Features) -> None:
        if self._is_full or not self._is_wanted(digest):
            return
        size_bytes = feature_bytes(features)
        in_host = self._memory.fill_host(key, digest, features)
        if in_host:
            self._kept.add(key)
        if self._memory.device_free_bytes - self._for_device_bytes >= size_bytes:
            self._for_device[key] = digest, features
            self._for_device_bytes += size_bytes
        elif not in_host:
            self._is_full = True

    async def _upload(self) -> None:
        waiting, self._for_device, self._for_device_bytes = self._for_device, {}, 0
        for key, (digest, features) in waiting.items():
            if not self._is_wanted(digest):
                continue
            if await self._memory.fill_device(key, digest, features):
                self._kept.add(key)
            if not self._is_wanted(digest):  # while it was on its way to the device
                self._memory.forget(digest)
                self._kept.discard(key)
