"""From where does a voice come: this device, this process, the other pods, or the engine?

A look-up goes through the tiers from the nearest to the farthest, and what it finds is kept in all nearer ones.  What no
tier has is extracted once for the whole fleet: by the pod that gets the lease, while the others wait for the value.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from typing import Final, Protocol

from timbre_server.domain.voice import Features, Reference, feature_bytes
from timbre_server.ports import EngineDescriptor, FeatureName, FoundFeatures, LoadReference
from timbre_server.voicecache.erasures import Erasures
from timbre_server.voicecache.extraction_lease import ExtractionLease
from timbre_server.voicecache.flights import Flight, Flights, Landing
from timbre_server.voicecache.keys import FeatureKeys
from timbre_server.voicecache.memory_tiers import MemoryTiers
from timbre_server.voicecache.prefetch import Prefetch
from timbre_server.voicecache.shared_tier import TIER as SHARED
from timbre_server.voicecache.shared_tier import SharedTier
from timbre_server.voicecache.voice_use import VoiceUse

EXTRACTED: Final = "extracted"

SPEECH: Final = "speech"
"""Cause of an extraction: somebody wants to speak with a voice that no tier has."""

ENROLMENT: Final = "enrolment"
"""Cause of an extraction: a voice is made ready before anybody speaks with it."""

KEYS_REMEMBERED: Final = 4096
"""Feature keys that are not computed again: 1 MB; a key takes 1 us, a fifth of a whole look-up that hits."""


def _unheard(_count: int) -> None:
    pass


class Extractor(Protocol):
    """The half of ``ports.Dispatcher`` that a cache needs."""

    async def extract(self, reference: Reference, *, begun: Callable[[], None] | None = None) -> Features: ...


class CacheObserver(Protocol):
    """What the cache tells of itself; ``telemetry.metrics.Metrics`` is one."""

    def voice_extracted(self, cause: str, seconds: float) -> None: ...


class TieredFeatureCache:
    """``FeatureSource`` over tiers in memory, the fleet's and the engine; lives on one event loop."""

    def __init__(
        self,
        descriptor: EngineDescriptor,
        extractor: Extractor,
        *,
        memory: MemoryTiers,
        shared: SharedTier | None = None,
        use: VoiceUse,
        observer: CacheObserver,
    ) -> None:
        """Without ``shared`` the pod is alone."""
        self._extractor = extractor
        self._memory = memory
        self._shared = shared
        self._use = use
        self._observer = observer
        self._flights = Flights()
        self._erasures = Erasures()
        self._key = lru_cache(KEYS_REMEMBERED)(FeatureKeys(descriptor))

    @property
    def erasures(self) -> int:
        return self._erasures.count

    async def features(
        self, name: FeatureName, load: LoadReference, *, erasures: int | None = None, one_off: bool = False
    ) -> FoundFeatures:
        digest = name.digest
        if erasures is not None and self._erasures.since(digest, erasures):
            return await self._flights.charter(digest, lambda flight: self._unkept(flight, load))
        key = self._key(digest, name.transcript)
        found = self._memory.nearest(key)
        if found is None:
            found = await self._flights.join(
                key, digest, lambda flight: self._look_up(flight, key, load, one_off=one_off)
            )
        if not one_off:
            self._adopt(digest, key, self.erasures if erasures is None else erasures)
        self._use.looked_up(key, found.features, one_off=one_off)
        return found

    async def prepare(self, name: FeatureName, load: LoadReference) -> None:
        digest, key = name.digest, self._key(name.digest, name.transcript)
        if not self._memory.holds(key):
            found = await self._flights.join(key, digest, lambda flight: self._first_seen(flight, key, load))
            self._use.prepared(key, found.features)
            found.release()
        self._adopt(digest, key, self.erasures)

    async def prefetch(self, names: Sequence[FeatureName], *, told: Callable[[int], None] = _unheard) -> int:
        if self._shared is None:
            return 0
        erasures = self.erasures
        prefetch = Prefetch(self._shared, self._memory, lambda digest: not self._erasures.since(digest, erasures))
        return await prefetch.run(self._missing(names), told)

    def forget(self, digest: str) -> None:
        self._erasures.note(digest)
        self._flights.erase(digest)
        self._memory.forget(digest)

    async def erase(self, digest: str) -> int:
        self.forget(digest)
        return 0 if self._shared is None else await self._shared.erase(digest)

    async def unused(self, digest: str) -> None:
        await self._flights.erased_over(digest)
        await self._memory.unused(digest)

    async def close(self) -> None:
        """Ends look-ups that are under way, and publishes what was extracted.  Idempotent."""
        await self._flights.close()
        if self._shared is not None:
            await self._shared.close()

    def check_integrity(self) -> None:
        """Asserts that the counts of all tiers in memory are those of their entries."""
        self._memory.check_integrity()

    def _missing(self, names: Iterable[FeatureName]) -> Iterator[tuple[str, str]]:
        """Digest and key of what memory has not, each once."""
        seen = set()
        for name in names:
            key = self._key(name.digest, name.transcript)
            if key not in seen and not self._memory.holds(key):
                seen.add(key)
                yield name.digest, key

    def _adopt(self, digest: str, key: str, erasures: int) -> None:
        """A recording that came with requests, and was kept from the others, is a voice with a name by now."""
        adopted = self._memory.adopted(key)
        if adopted is None:
            return
        if self._shared is None:
            adopted.release()
        else:
            self._shared.share(adopted, digest, key, lambda: not self._erasures.since(digest, erasures))

    async def _look_up(self, flight: Flight, key: str, load: LoadReference, *, one_off: bool) -> Landing:
        promoted = await self._memory.promoted(key, flight.digest, one_off=one_off)
        if promoted is not None:
            if flight.erased:  # while it was on its way to the device
                self._memory.forget(flight.digest)
            return promoted
        if self._shared is None or not self._shared.economy.prefers_fetching():
            return await self._keep(flight, key, await self._extract(flight, load), EXTRACTED, one_off=one_off)
        features = await self._shared.fetch(flight.digest, key)
        if features is not None:
            return await self._keep(flight, key, features, SHARED, one_off=one_off)
        if one_off:
            # Never shared: it has no name by which anybody could ask for its erasure.
            return await self._keep(flight, key, await self._extract(flight, load), EXTRACTED, one_off=True)
        return await self._obtain(self._shared, flight, key, load)

    async def _first_seen(self, flight: Flight, key: str, load: LoadReference) -> Landing:
        """Of a voice that is being enrolled.  Tiers count who asks them, so they are not asked."""
        if self._shared is None or not self._shared.economy.prefers_fetching():
            return await self._keep(flight, key, await self._extract(flight, load, ENROLMENT), EXTRACTED)
        return await self._obtain(self._shared, flight, key, load, cause=ENROLMENT)

    async def _obtain(
        self, shared: SharedTier, flight: Flight, key: str, load: LoadReference, *, cause: str = SPEECH
    ) -> Landing:
        """From whichever pod is first to extract it; and if that is this one, for all."""
        obtained = await shared.obtain(flight.digest, key)
        if obtained is None:
            return await self._keep(flight, key, await self._extract(flight, load, cause), EXTRACTED)
        if not isinstance(obtained, ExtractionLease):
            return await self._keep(flight, key, obtained, SHARED)
        async with obtained:
            features = await self._extract(flight, load, cause)
        shared.hand_over(obtained, key, features, lambda: not flight.erased)
        return await self._keep(flight, key, features, EXTRACTED)

    async def _keep(
        self, flight: Flight, key: str, features: Features, source: str, *, one_off: bool = False
    ) -> Landing:
        was_erased = flight.erased
        if was_erased:
            return Landing(features, source, _nothing)
        landing = await self._memory.keep(key, flight.digest, features, source=source, one_off=one_off)
        if flight.erased:  # while it was on its way to the device
            self._memory.forget(flight.digest)
        return landing

    async def _unkept(self, flight: Flight, load: LoadReference) -> Landing:
        return Landing(await self._extract(flight, load), EXTRACTED, _nothing)

    async def _extract(self, flight: Flight, load: LoadReference, cause: str = SPEECH) -> Features:
        loop = asyncio.get_running_loop()
        began = loop.time()
        reference = await load()
        features = await self._extractor.extract(reference, begun=flight.begin)
        seconds = loop.time() - began
        self._observer.voice_extracted(cause, seconds)
        if cause == SPEECH:
            self._use.extracted()
        if self._shared is not None:
            self._shared.economy.extracted(reference.pcm.duration_seconds, feature_bytes(features), seconds)
        return features


def _nothing() -> None:
    pass
