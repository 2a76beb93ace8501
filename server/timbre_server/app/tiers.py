"""Which memory keeps the features of this server's voices, and who decides how much of it?"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from timbre_server.batching import BatchingDispatcher
from timbre_server.ports import EngineDescriptor, SharedFeatures
from timbre_server.settings import VoiceCacheSettings
from timbre_server.telemetry.log import get_logger
from timbre_server.telemetry.metrics import Metrics
from timbre_server.voicecache import TieredFeatureCache
from timbre_server.voicecache.container_memory import container_memory, host_budget_bytes
from timbre_server.voicecache.device_storage import DeviceStorage
from timbre_server.voicecache.memory_tiers import DEVICE, HOST, MemoryTiers
from timbre_server.voicecache.nvml import open_device
from timbre_server.voicecache.shared_tier import SharedTier
from timbre_server.voicecache.sizing import SizingLimits
from timbre_server.voicecache.sizing_loop import SizingLoop
from timbre_server.voicecache.storage import HostStorage
from timbre_server.voicecache.tier import CAPACITY, Tier
from timbre_server.voicecache.torch_memory import CudaMemory, torch_memory
from timbre_server.voicecache.voice_use import VoiceUse

_log = get_logger("tiers")

FLOAT16: Final = "float16"


@dataclass
class FeatureTiers:
    """The voice cache of one server with all its tiers."""

    cache: TieredFeatureCache
    host: Tier
    device: Tier | None = None
    sizing: SizingLoop | None = None
    _sizing_task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Holds the host's budget against the container's limit, now that the engine has taken its memory, and begins to
        size the device tier, if there is one."""
        budget = host_budget_bytes(self.host.capacity_bytes, container_memory())
        if budget < self.host.capacity_bytes:
            fields = {"wanted_bytes": self.host.capacity_bytes, "capacity_bytes": budget}
            _log.warning("the memory limit leaves less for voices than was set", extra={"fields": fields})
            self.host.resize(budget, CAPACITY)
        if self.sizing is not None:
            self._sizing_task = asyncio.create_task(self.sizing.run(), name="sizing")

    async def stop(self) -> None:
        """Publishes what was extracted, then ends everything.  Idempotent."""
        await self.cache.close()
        if self._sizing_task is not None:
            self._sizing_task.cancel()
            with contextlib.suppress(asyncio.CancelledError):
                await self._sizing_task

    def out_of_memory(self) -> bool:
        """Gives memory of the device back to the engine; whether there was any to give."""
        return self.sizing is not None and self.sizing.out_of_memory()

    def report(self) -> Mapping[str, object]:
        """What is held, for people."""
        return {tier.name: _report(tier) for tier in (self.device, self.host) if tier is not None}


def build_tiers(
    descriptor: EngineDescriptor,
    dispatcher: BatchingDispatcher,
    shared: SharedFeatures | None,
    settings: VoiceCacheSettings,
    metrics: Metrics,
) -> FeatureTiers:
    """The cache for the voices of an engine.

    Raises:
        ConfigurationError: the engine's device cannot be used from here.
    """
    host = Tier(HOST, HostStorage(), capacity_bytes=settings.host_max_bytes, observer=metrics)
    device, sizing = _build_device(descriptor, settings, metrics)
    cache = TieredFeatureCache(
        descriptor,
        dispatcher,
        memory=MemoryTiers(host, device),
        shared=None
        if shared is None
        else SharedTier(shared, descriptor, observer=metrics, float16=settings.shared_dtype == FLOAT16),
        use=VoiceUse(metrics, target_hit_rate=settings.target_hit_rate_percent / 100),
        observer=metrics,
    )
    return FeatureTiers(cache, host, device, sizing)


def _build_device(
    descriptor: EngineDescriptor, settings: VoiceCacheSettings, metrics: Metrics
) -> tuple[Tier | None, SizingLoop | None]:
    """The tier on the engine's device and what sizes it; nothing for an engine without one."""
    if not descriptor.device or settings.device_max_bytes == 0:
        return None, None
    memory = torch_memory(descriptor.device)
    # numpy has no bfloat16: such features travel as the bit patterns that the descriptor calls bfloat16.
    dtypes = {name: spec.dtype for name, spec in descriptor.feature_spec.items() if spec.dtype == "bfloat16"}
    storage = DeviceStorage(memory, capacity_bytes=settings.device_max_bytes, dtypes=dtypes)
    tier = Tier(DEVICE, storage, capacity_bytes=settings.device_max_bytes, observer=metrics)
    reader = None
    if isinstance(memory, CudaMemory):
        reader = open_device(uuid=memory.uuid(), torch_memory=memory.allocated_and_reserved)
    limits = SizingLimits(
        min_bytes=min(settings.device_min_bytes, settings.device_max_bytes),
        max_bytes=settings.device_max_bytes,
        keep_free_percent=settings.device_keep_free_percent,
    )
    return tier, SizingLoop(tier, storage, reader, limits, observer=metrics)


def _report(tier: Tier) -> Mapping[str, object]:
    return {
        "entries": tier.entries,
        "held_bytes": tier.held_bytes,
        "capacity_bytes": tier.capacity_bytes,
        "hits": tier.hits,
        "misses": tier.misses,
        "evictions": dict(tier.evictions),
    }
