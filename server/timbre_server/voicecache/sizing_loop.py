"""Who asks the device how it is, and resizes the cache on it?"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from typing import Final, Protocol

from timbre_server.voicecache.nvml import DeviceReading
from timbre_server.voicecache.sizing import (
    DEMAND,
    PRESSURE,
    CacheState,
    Decision,
    SizingLimits,
    after_out_of_memory,
    decide,
    first_state,
)

_log = logging.getLogger("timbre.voicecache")

PERIOD_SECONDS: Final = 0.05
"""Half of the 100 ms within which a cache shall have given way; a read takes microseconds, so this is not worth varying."""
LOAD_EVERY: Final = 20
"""Ticks between two readings of load and temperature, and of the gauges: a second, finer than any scrape."""
ANSWER_SECONDS: Final = 5.0
"""A driver that takes longer hangs, as while it is reset; the budget stays as it is until it answers."""
PACKING_ROUNDS: Final = 4
"""How often voices of mixed sizes that fill no slab are given up for room; 2 slabs were the most that stayed after one."""
CAUSES: Final = ("capacity", PRESSURE)
"""Evictions for lack of room; who asks for those voices again wants a larger cache."""


class GhostHits(Protocol):
    """Look-ups of entries that were evicted."""

    @property
    def size_bytes(self) -> int: ...


class ResizableTier(Protocol):
    """The part of ``Tier`` that sizing needs."""

    @property
    def capacity_bytes(self) -> int: ...

    @property
    def held_bytes(self) -> int: ...

    def ghost_hits(self, cause: str) -> GhostHits: ...

    def resize(self, capacity_bytes: int, cause: str) -> int: ...


class ResizableStorage(Protocol):
    """The part of ``DeviceStorage`` that sizing needs."""

    @property
    def reserved_bytes(self) -> int: ...

    @property
    def excess_bytes(self) -> int: ...

    def settle(self) -> int: ...


class Reader(Protocol):
    """``DeviceReader``."""

    def read(self, *, load: bool = True) -> DeviceReading | None: ...


class SizingObserver(Protocol):
    """What sizing tells; ``telemetry.metrics.Metrics`` is one.  Called on any thread."""

    def voice_cache_resized(self, reason: str) -> None: ...

    def device_read(
        self, memory_bytes: Mapping[str, int], utilization: float | None, temperature_celsius: float | None
    ) -> None: ...


Call = Callable[[], None]


class SizingLoop:
    """Keeps the budget of the device tier at what the device has to spare.

    Without a reader the budget stays what it is, but for what an engine without memory takes of it.
    """

    def __init__(
        self,
        tier: ResizableTier,
        storage: ResizableStorage,
        reader: Reader | None,
        limits: SizingLimits,
        *,
        observer: SizingObserver,
        clock: Callable[[], float] = time.monotonic,
        in_thread: Callable[[Call], Awaitable[None]] | None = None,
    ) -> None:
        """Sets the tier's first budget.  ``in_thread`` runs a call aside, so that a driver that hangs holds up nobody."""
        self._tier = tier
        self._storage = storage
        self._reader = reader
        self._limits = limits
        self._observer = observer
        self._clock = clock
        self._in_thread = in_thread or in_daemon_thread
        self._lock = threading.Lock()
        self._ticks = 0
        self._owes_memory = False
        reading = self._read()
        self._state = first_state(limits, reading, clock())
        tier.resize(self._state.capacity_bytes, PRESSURE)
        _log.info(
            "the voice cache on the device has its budget",
            extra={"fields": {"capacity_bytes": self._state.capacity_bytes, "fixed": reader is None}},
        )

    async def run(self) -> None:
        """Until cancelled: reads, decides, resizes.  Once it has ended nobody touches the device, unless the driver hangs."""
        while True:
            tick = asyncio.ensure_future(self._in_thread(self.tick))
            try:
                done, _ = await asyncio.wait({tick}, timeout=ANSWER_SECONDS)
                if not done:
                    _log.warning("the device does not answer; the voice cache keeps its budget")
                await tick
            finally:
                await asyncio.wait({tick}, timeout=ANSWER_SECONDS)
                tick.cancel()
            await asyncio.sleep(PERIOD_SECONDS)

    def tick(self) -> None:
        """One reading and what follows from it; may wait for the device."""
        reading = self._read()
        if reading is None and self._reader is not None:
            return
        with self._lock:
            self._take(decide(self._limits, self._state, reading, self._cache(), self._clock()))
            if self._owes_memory:  # users of evicted voices may have left since
                self._storage.settle()
                self._owes_memory = self._storage.excess_bytes > 0

    def out_of_memory(self) -> bool:
        """The engine found no memory: whether some was given back.  Thread-safe; takes milliseconds."""
        with self._lock:
            before = self._storage.reserved_bytes
            self._take(after_out_of_memory(self._limits, self._state, self._cache(), self._clock()))
            return self._storage.reserved_bytes < before

    def _read(self) -> DeviceReading | None:
        if self._reader is None:
            return None
        load = self._ticks % LOAD_EVERY == 0
        self._ticks += 1
        reading = self._reader.read(load=load)
        if reading is not None and load:
            self._observer.device_read(reading.memory_bytes(), reading.utilization, reading.temperature_celsius)
        return reading

    def _cache(self) -> CacheState:
        ghosts = sum(self._tier.ghost_hits(cause).size_bytes for cause in CAUSES)
        return CacheState(self._tier.capacity_bytes, self._storage.reserved_bytes, ghosts)

    def _take(self, decision: Decision) -> None:
        before_bytes, self._state = self._tier.capacity_bytes, decision.state
        if decision.reason is None:
            return
        reserved_bytes = self._storage.reserved_bytes
        self._tier.resize(decision.capacity_bytes, PRESSURE)
        if decision.reason != DEMAND:
            self._pack(decision.capacity_bytes)
            self._owes_memory = self._storage.excess_bytes > 0
        self._observer.voice_cache_resized(decision.reason)
        fields = {
            "reason": decision.reason,
            "from_bytes": before_bytes,
            "to_bytes": decision.capacity_bytes,
            "given_back_bytes": reserved_bytes - self._storage.reserved_bytes,
        }
        _log.info("the voice cache on the device was resized", extra={"fields": fields})

    def _pack(self, capacity_bytes: int) -> None:
        """Gives slabs back until the rest fits the budget; voices of mixed sizes may not pack, then some more go."""
        lower_bytes = capacity_bytes
        for _ in range(PACKING_ROUNDS):
            self._storage.settle()
            excess_bytes = self._storage.reserved_bytes - capacity_bytes
            if excess_bytes <= 0 or self._tier.held_bytes > lower_bytes:  # the rest is in use, and goes with its users
                break
            lower_bytes = max(0, lower_bytes - excess_bytes)
            self._tier.resize(lower_bytes, PRESSURE)
        if lower_bytes != capacity_bytes:
            self._tier.resize(capacity_bytes, PRESSURE)


async def in_daemon_thread(call: Call) -> None:
    """Runs a call in a thread of its own that no exit waits for, unlike those of an executor.  Raises what it raises."""
    loop = asyncio.get_running_loop()
    ended: asyncio.Future[None] = loop.create_future()

    def tell(error: BaseException | None) -> None:
        if ended.done():
            return
        if error is None:
            ended.set_result(None)
        else:
            ended.set_exception(error)

    def run() -> None:
        error: BaseException | None = None
        try:
            call()
        except BaseException as raised:  # noqa: BLE001 - handed to who awaits
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop may have ended meanwhile
            loop.call_soon_threadsafe(tell, error)

    threading.Thread(target=run, name="voice-cache-sizing", daemon=True).start()
    await ended
