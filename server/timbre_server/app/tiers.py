"""Which memory keeps the features of this server's voices, and who decides how much of it?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice
from typing import Final

from timbre_contract import api as paths
from timbre_server.app.device_tier import DeviceTier
from timbre_server.batching import BatchingDispatcher
from timbre_server.ports import EngineDescriptor, SharedFeatures
from timbre_server.settings import VoiceCacheSettings
from timbre_server.telemetry.log import get_logger
from timbre_server.telemetry.metrics import Metrics
from timbre_server.voicecache import TieredFeatureCache
from timbre_server.voicecache.container_memory import container_memory, host_budget_bytes
from timbre_server.voicecache.memory_tiers import HOST, MemoryTiers
from timbre_server.voicecache.shared_tier import SharedTier
from timbre_server.voicecache.storage import HostStorage
from timbre_server.voicecache.tier import CAPACITY, Tier
from timbre_server.voicecache.voice_use import VoiceUse

_log = get_logger("tiers")

FLOAT16: Final = "float16"


@dataclass
class FeatureTiers:
    """The voice cache of one server with all its tiers."""

    cache: TieredFeatureCache
    use: VoiceUse
    host: Tier
    device: DeviceTier | None = None

    def start(self) -> None:
        """Holds the host's budget against the container's limit, now that the engine has taken its memory, and begins to
        size the device tier, if there is one."""
        budget = host_budget_bytes(self.host.capacity_bytes, container_memory())
        if budget < self.host.capacity_bytes:
            fields = {"wanted_bytes": self.host.capacity_bytes, "capacity_bytes": budget}
            _log.warning("the memory limit leaves less for voices than was set", extra={"fields": fields})
            self.host.resize(budget, CAPACITY)
        if self.device is not None:
            self.device.start()

    async def stop(self) -> None:
        """Publishes what was extracted, then ends everything.  Idempotent."""
        await self.cache.close()
        if self.device is not None:
            await self.device.stop()

    def out_of_memory(self) -> bool:
        """Gives memory of the device back to the engine; whether there was any to give."""
        return self.device is not None and self.device.out_of_memory()

    def health(self) -> str | None:
        """None while all is well, else why only a restart helps."""
        return None if self.device is None else self.device.health()

    def report(self) -> Mapping[str, object]:
        """What is held: counts for people, and for the operator the hottest voices by the digest of their recording."""
        return {**{tier.name: _report(tier) for tier in self._tiers()}, paths.HOTTEST_FIELD: self._hottest()}

    def _hottest(self) -> Sequence[Mapping[str, object]]:
        held = ((self._recording(key), heat) for key, heat in self.use.hottest())
        listed = ({"digest": digest, "heat": round(heat, 3)} for digest, heat in held if digest is not None)
        return list(islice(listed, paths.MAX_HOTTEST))

    def _recording(self, key: str) -> str | None:
        return next((digest for tier in self._tiers() if (digest := tier.recording(key))), None)

    def _tiers(self) -> Sequence[Tier]:
        return [self.host] if self.device is None else [self.device.tier, self.host]


def build_tiers(
    descriptor: EngineDescriptor,
    dispatcher: BatchingDispatcher,
    shared: SharedFeatures | None,
    settings: VoiceCacheSettings,
    metrics: Metrics,
    *,
    transferred: Callable[[float], None],
) -> FeatureTiers:
    """The cache for the voices of an engine; ``transferred`` as in ``SharedTier``.

    Raises:
        ConfigurationError: the engine's device cannot be used from here.
    """
    device = DeviceTier.build(descriptor, settings, metrics)
    storage = HostStorage(settings.host_max_bytes, None if device is None else device.host_memory)
    host = Tier(HOST, storage, capacity_bytes=settings.host_max_bytes, observer=metrics)
    shared_tier = None
    if shared is not None:
        float16 = settings.shared_dtype == FLOAT16
        shared_tier = SharedTier(
            shared, descriptor, observer=metrics, transferred=transferred, room=storage.room, float16=float16
        )
    use = VoiceUse(metrics, target_hit_rate=settings.target_hit_rate_percent / 100)
    cache = TieredFeatureCache(
        descriptor,
        dispatcher,
        memory=MemoryTiers(host, None if device is None else device.tier),
        shared=shared_tier,
        use=use,
        observer=metrics,
    )
    return FeatureTiers(cache, use, host, device)


def _report(tier: Tier) -> Mapping[str, object]:
    return {
        "entries": tier.entries,
        "held_bytes": tier.held_bytes,
        "capacity_bytes": tier.capacity_bytes,
        "hits": tier.hits,
        "misses": tier.misses,
        "evictions": dict(tier.evictions),
    }
