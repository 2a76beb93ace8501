"""The host tier: features in this process' memory, bounded in bytes, each voice extracted by one caller for all."""

from __future__ import annotations

import asyncio
from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from timbre_server.domain.voice import Features, Reference, feature_bytes
from timbre_server.ports import EngineDescriptor, FeatureName, FoundFeatures, LoadReference
from timbre_server.voicecache.keys import feature_key

TIER = "host"
EXTRACTED = "extracted"


class Extractor(Protocol):
    """The half of ``ports.Dispatcher`` that a cache needs."""

    async def extract(self, reference: Reference) -> Features: ...


class CacheObserver(Protocol):
    """What the cache tells of itself; ``telemetry.metrics.Metrics`` is one."""

    def voice_looked_up(self, tier: str, *, hit: bool) -> None: ...

    def voice_evicted(self, tier: str, cause: str) -> None: ...

    def voice_extracted(self, seconds: float) -> None: ...


@dataclass(frozen=True, eq=False)
class _Entry:
    digest: str
    features: Features
    size_bytes: int


class HostFeatureCache:
    """``FeatureSource`` over one tier in memory; lives on one event loop.

    The entry that was unused for longest makes room.  A value larger than the whole budget is not kept.
    """

    def __init__(
        self, descriptor: EngineDescriptor, extractor: Extractor, *, max_bytes: int, observer: CacheObserver
    ) -> None:
        self._descriptor = descriptor
        self._extractor = extractor
        self._max_bytes = max_bytes
        self._observer = observer
        self._entries: OrderedDict[str, _Entry] = OrderedDict()
        self._extractions: dict[str, tuple[str, asyncio.Task[Features]]] = {}
        self._tasks: set[asyncio.Task[Features]] = set()
        self._erased: dict[str, int] = {}
        self.held_bytes = 0
        self.erasures = 0

    async def features(
        self,
        name: FeatureName,
        load: LoadReference,
        *,
        erasures: int | None = None,
        one_off: bool = False,  # noqa: ARG002 - this cache treats all alike
    ) -> FoundFeatures:
        digest = name.digest
        key = feature_key(self._descriptor, digest, name.transcript)
        if erasures is not None and self._erased.get(digest, 0) > erasures:
            return FoundFeatures(await self._extractor.extract(await load()), EXTRACTED)
        held = self._entries.get(key)
        self._observer.voice_looked_up(TIER, hit=held is not None)
        if held is not None:
            self._entries.move_to_end(key)
            return FoundFeatures(held.features, TIER)
        # A caller who leaves must not stop the extraction for the others.
        return FoundFeatures(await asyncio.shield(self._extraction(key, digest, load)), EXTRACTED)

    async def prefetch(self, names: Sequence[FeatureName]) -> int:  # noqa: ARG002 - there is nowhere to take it from
        return 0

    async def erase(self, digest: str) -> int:
        self.forget(digest)
        return 0

    async def unused(self, digest: str) -> None:
        pass

    def forget(self, digest: str) -> None:
        self.erasures += 1
        self._erased[digest] = self.erasures
        for key in [key for key, (owner, _) in self._extractions.items() if owner == digest]:
            del self._extractions[key]  # its callers still get their features, but nobody after them
        for key in [key for key, entry in self._entries.items() if entry.digest == digest]:
            self._drop(key, "erased")

    def check_integrity(self) -> None:
        """Asserts that the count of bytes is that of the entries and within the budget."""
        assert self.held_bytes == sum(feature_bytes(entry.features) for entry in self._entries.values())
        assert self.held_bytes <= self._max_bytes

    def _extraction(self, key: str, digest: str, load: LoadReference) -> asyncio.Task[Features]:
        if key in self._extractions:
            return self._extractions[key][1]
        task = asyncio.create_task(self._extract(key, digest, load), name=f"extract-{key[:8]}")
        self._extractions[key] = (digest, task)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return task

    async def _extract(self, key: str, digest: str, load: LoadReference) -> Features:
        started = asyncio.get_running_loop().time()
        try:
            features = await self._extractor.extract(await load())
            self._observer.voice_extracted(asyncio.get_running_loop().time() - started)
            if self._owns(key):
                self._keep(key, _Entry(digest, features, feature_bytes(features)))
            return features
        finally:
            if self._owns(key):
                del self._extractions[key]

    def _owns(self, key: str) -> bool:
        """Whether the running task is still the extraction of that key: ``forget`` may have come between."""
        return key in self._extractions and self._extractions[key][1] is asyncio.current_task()

    def _finished(self, task: asyncio.Task[Features]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # every caller may have left; the error was theirs and is not the loop's

    def _keep(self, key: str, entry: _Entry) -> None:
        if entry.size_bytes > self._max_bytes:
            return
        while self.held_bytes + entry.size_bytes > self._max_bytes:
            self._drop(next(iter(self._entries)), "capacity")
        self._entries[key] = entry
        self.held_bytes += entry.size_bytes

    def _drop(self, key: str, cause: str) -> None:
        self.held_bytes -= self._entries.pop(key).size_bytes
        self._observer.voice_evicted(TIER, cause)
