"""The voices on the engine's device: in which memory, and of what size?"""

from __future__ import annotations

import asyncio
from typing import Any, Self

from timbre_server.ending import end
from timbre_server.ports import EngineDescriptor
from timbre_server.settings import VoiceCacheSettings
from timbre_server.telemetry.log import get_logger
from timbre_server.telemetry.metrics import Metrics
from timbre_server.voicecache.device_storage import DeviceStorage
from timbre_server.voicecache.memory_tiers import DEVICE
from timbre_server.voicecache.nvml import DeviceReader, open_device
from timbre_server.voicecache.sizing import SizingLimits
from timbre_server.voicecache.sizing_loop import SizingLoop
from timbre_server.voicecache.slabs import SlabMemory
from timbre_server.voicecache.tier import Tier
from timbre_server.voicecache.torch_memory import CudaMemory, torch_memory

_log = get_logger("device")


class DeviceTier:
    """A tier in the device's memory, and the loop that sizes it; lives on one event loop."""

    def __init__(
        self, memory: Any, descriptor: EngineDescriptor, settings: VoiceCacheSettings, metrics: Metrics
    ) -> None:
        """``memory`` is a ``device_storage.DeviceMemory``."""
        # numpy has no bfloat16: such features travel as bit patterns.
        dtypes = {name: spec.dtype for name, spec in descriptor.feature_spec.items() if spec.dtype == "bfloat16"}
        most = settings.device_max_bytes
        self._memory = memory
        self.host_memory: SlabMemory | None = memory.host if settings.host_pinned else None
        """Where voices lie best in this process; None: anywhere."""
        self._storage = DeviceStorage(memory, capacity_bytes=most, dtypes=dtypes)
        self.tier = Tier(DEVICE, self._storage, capacity_bytes=most, observer=metrics, ghost_bytes=most)
        self._limits = SizingLimits(
            min_bytes=min(settings.device_min_bytes, most),
            max_bytes=most,
            keep_free_percent=settings.device_keep_free_percent,
        )
        self._metrics = metrics
        self._reader: DeviceReader | None = None
        self._sizing: SizingLoop | None = None
        self._task: asyncio.Task[None] | None = None
        self._broken: str | None = None

    @classmethod
    def build(cls, descriptor: EngineDescriptor, settings: VoiceCacheSettings, metrics: Metrics) -> Self | None:
        """None for an engine without a device, or with a budget of 0 there.

        Raises:
            ConfigurationError: the engine's device cannot be used.
        """
        if not descriptor.device or settings.device_max_bytes == 0:
            return None
        return cls(torch_memory(descriptor.device), descriptor, settings, metrics)

    def start(self) -> None:
        """Sets the first budget, now that the engine has taken its memory, and keeps it right from now on."""
        if isinstance(self._memory, CudaMemory):
            self._reader = open_device(uuid=self._memory.uuid(), torch_memory=self._memory.allocated_and_reserved)
        self._sizing = SizingLoop(self.tier, self._storage, self._reader, self._limits, observer=self._metrics)
        self._task = asyncio.create_task(self._sizing.run(), name="size-device-tier")
        self._task.add_done_callback(self._ended)

    async def stop(self) -> None:
        """Idempotent."""
        if self._task is not None:
            await end([self._task])
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def out_of_memory(self) -> bool:
        """Gives memory back to the engine; whether there was any to give."""
        return self._sizing is not None and self._sizing.out_of_memory()

    def health(self) -> str | None:
        """None while all is well, else why only a restart helps."""
        return self._broken

    def _ended(self, task: asyncio.Task[None]) -> None:
        if not task.cancelled() and (error := task.exception()) is not None:
            self._broken = "the device of the voice cache failed"
            _log.error("sizing the device tier failed", exc_info=error)
