"""A device that an engine, a voice cache and others share, and traces of how the others behave."""

from __future__ import annotations

import json
import math
import random
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from tests.server.voicecache.nvml_library import Pressure
from timbre_server.voicecache.device_storage import DeviceStorage, HostSlabMemory
from timbre_server.voicecache.nvml import open_device
from timbre_server.voicecache.sizing import SizingLimits
from timbre_server.voicecache.sizing_loop import PERIOD_SECONDS, SizingLoop
from timbre_server.voicecache.tier import Tier

MIB = 1 << 20
TOTAL_BYTES = 256 * MIB
SLAB_BYTES = MIB
ENTRY_BYTES = 130 << 10
"""An XTTS voice."""
LIMITS = SizingLimits(
    min_bytes=4 * MIB, max_bytes=64 * MIB, keep_free_percent=20, quantum_bytes=SLAB_BYTES, dwell_seconds=1.0
)
CALM_BYTES = 100 * MIB
"""What the others use when all is calm: the cache may have its 64 MiB, and two margins of headroom are left."""
TIGHT_BYTES = CALM_BYTES + 60 * MIB
DURATION_SECONDS = 6.0

Trace = Callable[[float], int]
"""What the others use after so many seconds, in bytes."""


def _noise() -> Trace:
    generator, swing = random.Random(17), LIMITS.step_bytes // 2
    values = [generator.randint(-swing, swing) for _ in range(1000)]
    # Around the very point where the full cache has no headroom left: there noise decides.
    edge = TOTAL_BYTES * (100 - LIMITS.keep_free_percent) // 100 - LIMITS.max_bytes
    return lambda seconds: edge + values[int(seconds / PERIOD_SECONDS) % len(values)]


TRACES: Mapping[str, Trace] = {
    "step": lambda seconds: CALM_BYTES if seconds < 1 else TIGHT_BYTES,
    "ramp": lambda seconds: CALM_BYTES + int((TIGHT_BYTES - CALM_BYTES) * min(1.0, max(0.0, seconds - 1) / 4)),
    "noise": _noise(),
    "grab": lambda seconds: 190 * MIB if 1 <= seconds < 3 else CALM_BYTES - 40 * MIB,
}


class ZipfVoices:
    """Which voices are asked for: of a thousand, the first ones most."""

    def __init__(self) -> None:
        self._random = random.Random(5)

    def next(self, count: int) -> list[int]:
        """The next ones, by Zipf's law with exponent 1."""
        return [int(math.exp(self._random.random() * math.log(1000))) for _ in range(count)]


class SharedDevice:
    """What NVML would say, written to its file whenever it changes."""

    def __init__(self, pressure: Pressure) -> None:
        self._pressure = pressure
        self.others_bytes = 0
        self.slab_bytes = 0
        self._lock = threading.Lock()
        self.tell()

    @property
    def headroom_bytes(self) -> int:
        """What is free beyond what shall stay free."""
        keep_free = TOTAL_BYTES * LIMITS.keep_free_percent // 100
        return TOTAL_BYTES - self.others_bytes - self.slab_bytes - keep_free

    def tell(self, *, others_bytes: int | None = None, slabs: int = 0) -> None:
        """Something was taken or given back."""
        with self._lock:
            if others_bytes is not None:
                self.others_bytes = others_bytes
            self.slab_bytes += slabs
            free = max(0, TOTAL_BYTES - self.others_bytes - self.slab_bytes)
            self._pressure.say(total=TOTAL_BYTES, free=free)


class SlabsOnDevice(HostSlabMemory):
    """Takes its slabs from a device that counts them."""

    def __init__(self, device: SharedDevice) -> None:
        self._device = device

    def allocate(self, nbytes: int) -> Any:
        self._device.tell(slabs=nbytes)
        return super().allocate(nbytes)

    def free(self, buffer: Any) -> None:
        self._device.tell(slabs=-len(buffer))


@dataclass
class Heard:
    """What tier and sizing told; an observer of both."""

    resizes: list[str] = field(default_factory=list)
    readings: list[Mapping[str, int]] = field(default_factory=list)
    evictions: int = 0

    def voice_cache_resized(self, reason: str) -> None:
        self.resizes.append(reason)

    def device_read(
        self, memory_bytes: Mapping[str, int], utilization: float | None, temperature_celsius: float | None
    ) -> None:
        self.readings.append(memory_bytes)

    def voice_evicted(self, tier: str, cause: str) -> None:
        self.evictions += 1

    def watch_voice_cache(self, *told: Any) -> None:
        pass

    def watch_voice_lookups(self, *told: Any) -> None:
        pass


@dataclass(frozen=True)
class Moment:
    """The cache after one tick."""

    seconds: float
    capacity_bytes: int
    held_bytes: int
    reserved_bytes: int
    headroom_bytes: int
    resizes: tuple[str, ...]


class CacheUnderPressure:
    """A real tier in real slabs, sized through the real reader; voices are asked for by Zipf's law."""

    def __init__(self, file: Path, clock: Callable[[], float]) -> None:
        self.heard = Heard()
        self.device = SharedDevice(Pressure(file))
        self.device.tell(others_bytes=CALM_BYTES - 40 * MIB)
        self.storage = DeviceStorage(SlabsOnDevice(self.device), capacity_bytes=LIMITS.max_bytes, slab_bytes=SLAB_BYTES)
        self.tier = Tier(
            "device", self.storage, capacity_bytes=LIMITS.max_bytes, observer=self.heard, ghost_bytes=LIMITS.max_bytes
        )
        reader = open_device()
        assert reader is not None, "the fake library is loaded"
        self.loop = SizingLoop(self.tier, self.storage, reader, LIMITS, observer=self.heard, clock=clock)
        self._features = {"latents": np.zeros(ENTRY_BYTES // 4, np.float32)}
        self._voices = ZipfVoices()
        for voice in range(LIMITS.max_bytes // ENTRY_BYTES):
            self.use(voice)

    def use(self, voice: int) -> None:
        """Speaks with a voice."""
        key = str(voice)
        lease = self.tier.get(key) or self.tier.put(key, key, self._features)
        if lease is not None:
            lease.release()

    def use_some(self, count: int) -> None:
        """Speaks with that many voices of a thousand."""
        for voice in self._voices.next(count):
            self.use(voice)


def play(name: str, file: Path) -> Iterator[Moment]:
    """A trace in time of its own: a tick each 50 ms, at once."""
    now = 0.0
    cache = CacheUnderPressure(file, lambda: now)
    for turn in range(int(DURATION_SECONDS / PERIOD_SECONDS)):
        now = turn * PERIOD_SECONDS
        cache.device.tell(others_bytes=TRACES[name](now))
        before = len(cache.heard.resizes)
        cache.loop.tick()
        cache.use_some(20)
        cache.storage.check_integrity()
        yield Moment(
            now,
            cache.tier.capacity_bytes,
            cache.tier.held_bytes,
            cache.storage.reserved_bytes,
            cache.device.headroom_bytes,
            tuple(cache.heard.resizes[before:]),
        )
    cache.tier.check_integrity()


if __name__ == "__main__":
    print(json.dumps([asdict(moment) for moment in play(sys.argv[1], Path(sys.argv[2]))]))
