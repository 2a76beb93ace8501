"""Pods for tests of the tiered cache: real tiers and a real Redis around an engine whose extractions wait for a gate."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
from collections import Counter
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

import numpy as np
import pytest

from tests.server.voicecache.descriptors import DESCRIPTOR
from timbre_contract.keys import ServiceKeys
from timbre_server.domain.pcm import Pcm
from timbre_server.domain.voice import Features, Reference, feature_bytes
from timbre_server.ports import FeatureName, FoundFeatures
from timbre_server.settings import RedisSettings
from timbre_server.store.features import WHISPER, RedisSharedFeatures
from timbre_server.store.link import RedisLink
from timbre_server.store.whisper import Whisper
from timbre_server.voicecache.keys import FeatureKeys
from timbre_server.voicecache.memory_tiers import MemoryTiers
from timbre_server.voicecache.shared_tier import SharedTier
from timbre_server.voicecache.storage import HostStorage
from timbre_server.voicecache.tier import Tier
from timbre_server.voicecache.tiered import TieredFeatureCache
from timbre_server.voicecache.voice_use import VoiceUse


def features_of(digest: str) -> Features:
    """What the engine extracts: no two recordings have equal features."""
    seed = int.from_bytes(hashlib.sha256(digest.encode()).digest()[:4], "little")
    return {"embedding": np.random.default_rng(seed).random(256, np.float32)}


ENTRY_BYTES = feature_bytes(features_of(""))


class GatedEngine:
    """The extracting half of a dispatcher."""

    def __init__(self) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.started = asyncio.Event()
        self.failures: list[BaseException] = []
        self.extracted: list[str] = []

    async def extract(self, reference: Reference, *, begun: Callable[[], None] | None = None) -> Features:
        if begun is not None:
            begun()
        self.extracted.append(reference.digest)
        self.started.set()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop()
        return features_of(reference.digest)


class Recorder:
    """Counts what the parts of a cache tell, and keeps what they let it watch."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()
        self.transferred: list[float] = []
        """How long each voice from the shared tier should have taken."""
        self.lookups: dict[str, tuple[Callable[[], int], Callable[[], int]]] = {}
        self.hit_ratio: Callable[[], float] = float
        self.working_set_bytes: Callable[[], float] = float

    def voice_evicted(self, tier: str, cause: str) -> None:
        self.events[f"{tier} {cause}"] += 1

    def voice_extracted(self, cause: str, seconds: float) -> None:
        self.events[f"extracted for {cause}"] += 1

    def watch_voice_cache(
        self, tier: str, held_bytes: Callable[[], float], capacity_bytes: Callable[[], float]
    ) -> None: ...

    def watch_voice_lookups(self, tier: str, hits: Callable[[], int], misses: Callable[[], int]) -> None:
        self.lookups[tier] = hits, misses

    def watch_voice_use(self, hit_ratio: Callable[[], float], working_set_bytes: Callable[[], float]) -> None:
        self.hit_ratio, self.working_set_bytes = hit_ratio, working_set_bytes

    def looked_up(self, tier: str) -> tuple[int, int]:
        """Hits and misses of a tier."""
        hits, misses = self.lookups[tier]
        return hits(), misses()


@dataclass
class Pod:
    """A cache with its parts in reach."""

    cache: TieredFeatureCache
    engine: GatedEngine
    recorder: Recorder
    host: Tier
    device: Tier | None
    shared: RedisSharedFeatures | None
    loading: Callable[[str], Reference] = field(default=lambda digest: Reference(PCM, digest))

    async def find(self, digest: str, *, erasures: int | None = None, one_off: bool = False) -> FoundFeatures:
        """A look-up whose result the caller releases; its features are checked to be that recording's."""

        async def load() -> Reference:
            return self.loading(digest)

        found = await self.cache.features(FeatureName(digest), load, erasures=erasures, one_off=one_off)
        assert np.array_equal(found.features["embedding"], features_of(digest)["embedding"])
        return found

    async def ask(self, digest: str, *, erasures: int | None = None, one_off: bool = False) -> str:
        """Where the voice was found; it is not used any more when this returns."""
        found = await self.find(digest, erasures=erasures, one_off=one_off)
        found.release()
        self.cache.check_integrity()
        return found.source


PCM = Pcm(np.zeros(24_000, np.float32), 24_000)


def key_of(digest: str) -> str:
    return FeatureKeys(DESCRIPTOR)(digest)


def a_pod(
    *,
    shared: RedisSharedFeatures | None = None,
    host_entries: int = 10,
    device_entries: int | None = None,
) -> Pod:
    """A pod with room for so many voices; ``shared`` = None: it is alone; ``device_entries`` = None: it has no device."""
    engine, recorder = GatedEngine(), Recorder()
    host = _tier("host", host_entries, recorder)
    device = None
    if device_entries is not None:
        device = _tier("device", device_entries, recorder)
    shared_tier = None
    if shared is not None:
        shared_tier = SharedTier(shared, DESCRIPTOR, observer=recorder, transferred=recorder.transferred.append)
    cache = TieredFeatureCache(
        DESCRIPTOR,
        engine,
        memory=MemoryTiers(host, device),
        shared=shared_tier,
        use=VoiceUse(recorder),
        observer=recorder,
    )
    return Pod(cache, engine, recorder, host, device, shared)


def _tier(name: str, entries: int, recorder: Recorder) -> Tier:
    capacity_bytes = entries * ENTRY_BYTES
    return Tier(name, HostStorage(capacity_bytes), capacity_bytes=capacity_bytes, observer=recorder)


def forget_then_put(pod: Pod, monkeypatch: pytest.MonkeyPatch) -> None:
    """The erasure comes in between the look-up and the thread that uploads."""
    assert pod.device is not None
    upload = asyncio.to_thread

    async def late(*arguments: object, **options: object) -> object:
        pod.cache.forget("a")
        return await upload(*arguments, **options)  # type: ignore[arg-type]

    monkeypatch.setattr("timbre_server.voicecache.memory_tiers.asyncio.to_thread", late)


@dataclass
class Fleet:
    """Pods that share a Redis and hear its whispers."""

    link: RedisLink
    keys: ServiceKeys
    pods: list[Pod] = field(default_factory=list)
    tiers: list[RedisSharedFeatures] = field(default_factory=list)

    def shared(self, *, lease_seconds: float = 30.0, failure_ttl_seconds: float = 30.0) -> RedisSharedFeatures:
        shared = RedisSharedFeatures(
            self.link,
            self.keys,
            ttl_seconds=1000,
            lease_seconds=lease_seconds,
            failure_ttl_seconds=failure_ttl_seconds,
        )
        self.tiers.append(shared)
        return shared

    def heard(self, digest: str) -> None:
        """A whisper reaches all pods of this fleet."""
        for pod in self.pods:
            assert pod.shared is not None
            pod.shared.heard(digest)

    def pod(self, *, lease_seconds: float = 30.0, host_entries: int = 10, device_entries: int | None = None) -> Pod:
        pod = a_pod(
            shared=self.shared(lease_seconds=lease_seconds), host_entries=host_entries, device_entries=device_entries
        )
        self.pods.append(pod)
        return pod

    async def blobs(self, digest: str) -> int:
        """How many features of a recording all pods could find."""
        count: int = await self.link.read(lambda client: client.hlen(self.keys.features(digest)))
        return count

    async def published(self, digest: str) -> None:
        """Returns when features of that recording can be found."""
        while not await self.blobs(digest):
            pass

    async def renewed(self, digest: str, *, times: int) -> None:
        """Returns when the lease on that recording was prolonged so often."""
        left = await self.link.read(lambda client: client.pttl(self.keys.lease(digest)))
        while times:
            before, left = left, await self.link.read(lambda client: client.pttl(self.keys.lease(digest)))
            assert left > 0, "the lease has ended"
            times -= left > before

    async def unleased(self, digest: str) -> None:
        """Returns when nobody has the lease on that recording."""
        while await self.link.read(lambda client: client.exists(self.keys.lease(digest))):
            pass


@contextlib.asynccontextmanager
async def a_fleet(url: str, scope: str) -> AsyncIterator[Fleet]:
    """Wide time limits: these pods run on a machine that is busy with others."""
    link = RedisLink(RedisSettings(url=url, read_timeout_seconds=5, connect_timeout_seconds=5))
    fleet = Fleet(link, ServiceKeys(scope))
    whisper = Whisper(link, fleet.keys)
    whisper.on(WHISPER, fleet.heard)
    listening = asyncio.create_task(whisper.run())
    await whisper.subscribed()
    try:
        yield fleet
    finally:
        listening.cancel()
        await asyncio.wait({listening})
        for pod in fleet.pods:
            await pod.cache.close()
        for shared in fleet.tiers:
            await shared.close()
        await link.close()
