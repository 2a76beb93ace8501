"""Does the cache give way when somebody else needs the device's memory?  Beside it, in the same run: the articles' rule.

A driver's library of our own plays the pressure, so that NVML's real binding is read; memory is counted, not used.
The rule of the articles (x0.9 above 0.72 of the memory, x1.1 below 0.56) is helped: it sees all processes, is asked as
often as ours, and its bounds are our bytes.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import os
import tempfile
import time
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.measuring import Bar, Chart, Result, median
from tests.server.voicecache.nvml_library import Pressure, build
from tests.server.voicecache.pressure import (
    CALM_BYTES,
    DURATION_SECONDS,
    ENTRY_BYTES,
    LIMITS,
    MIB,
    TIGHT_BYTES,
    TOTAL_BYTES,
    TRACES,
    CacheUnderPressure,
    SharedDevice,
    ZipfVoices,
)
from timbre_server.voicecache.sizing_loop import PERIOD_SECONDS

STEPS = 20
"""Steps of pressure that are timed one by one, each at another point of the loop's period."""
TURN_SECONDS = 0.01
VOICES_PER_TURN = 10
SETTLED_SECONDS = 0.1
ABOVE, BELOW, SHRINK, GROW = 0.72, 0.56, 0.9, 1.1


class TheArticlesCache:
    """A cache by count: its capacity follows the rule, and ``put`` evicts one entry at most."""

    def __init__(self, device: SharedDevice) -> None:
        self.device = device
        self.capacity = LIMITS.max_bytes // ENTRY_BYTES
        self.resizes: list[float] = []
        self._entries: OrderedDict[int, None] = OrderedDict()
        for voice in range(self.capacity):
            self.use(voice)

    @property
    def overshoot_entries(self) -> float:
        """Entries beyond the capacity."""
        return max(0, len(self._entries) - self.capacity)

    def use(self, voice: int) -> None:
        """Speaks with a voice."""
        if voice in self._entries:
            self._entries.move_to_end(voice)
            return
        if len(self._entries) >= self.capacity:
            self._entries.popitem(last=False)
        else:
            self.device.tell(slabs=ENTRY_BYTES)
        self._entries[voice] = None

    def scale(self, now: float) -> None:
        """The rule, once."""
        used = (self.device.others_bytes + self.device.slab_bytes) / TOTAL_BYTES
        factor = SHRINK if used > ABOVE else GROW if used < BELOW else 1.0
        bounds = LIMITS.min_bytes // ENTRY_BYTES, LIMITS.max_bytes // ENTRY_BYTES
        capacity = max(bounds[0], min(bounds[1], int(self.capacity * factor)))
        if capacity != self.capacity:
            self.capacity = capacity
            self.resizes.append(now)


@dataclass
class Watched:
    """What one cache did in one trace."""

    overshoot_entries: float = 0.0
    late_excess_entries: float = 0.0
    """Slabs beyond the budget when it had stood for 100 ms."""
    resizes: list[float] = field(default_factory=list)
    seconds_without_headroom: float = 0.0

    def most_resizes_per_dwell(self) -> int:
        """In the worst dwell time of the trace."""
        return max(
            (bisect_right(self.resizes, at + LIMITS.dwell_seconds) - i for i, at in enumerate(self.resizes)), default=0
        )


class Ours:
    """The tier with its loop; notes what each moment shows."""

    def __init__(self, file: Path) -> None:
        self.cache = CacheUnderPressure(file, time.monotonic)
        self.watched = Watched()
        self._capacity, self._since = self.cache.tier.capacity_bytes, 0.0

    def look(self, now: float) -> None:
        """Notes the moment."""
        tier, storage = self.cache.tier, self.cache.storage
        self.watched.overshoot_entries = max(
            self.watched.overshoot_entries, (tier.held_bytes - tier.capacity_bytes) / ENTRY_BYTES
        )
        if tier.capacity_bytes != self._capacity:
            self._capacity, self._since = tier.capacity_bytes, now
        if now - self._since > SETTLED_SECONDS:
            self.watched.late_excess_entries = max(self.watched.late_excess_entries, storage.excess_bytes / ENTRY_BYTES)
        while len(self.watched.resizes) < len(self.cache.heard.resizes):
            self.watched.resizes.append(now)


async def _played(name: str, folder: Path) -> tuple[Watched, Watched]:
    """One trace in real time, for both caches at once, each with a device of its own."""
    ours = Ours(folder / "device")
    peer = TheArticlesCache(SharedDevice(Pressure(folder / "peer")))
    theirs = Watched()
    voices, began, scaled_at, last = ZipfVoices(), time.monotonic(), 0.0, 0.0
    running = asyncio.create_task(ours.cache.loop.run())
    while (now := time.monotonic() - began) < DURATION_SECONDS:
        for device in (ours.cache.device, peer.device):
            device.tell(others_bytes=TRACES[name](now))
        for voice in voices.next(VOICES_PER_TURN):
            ours.cache.use(voice)
            peer.use(voice)
        if now - scaled_at >= PERIOD_SECONDS:
            scaled_at = now
            peer.scale(now)
        ours.look(now)
        theirs.overshoot_entries = max(theirs.overshoot_entries, peer.overshoot_entries)
        for device, watched in ((ours.cache.device, ours.watched), (peer.device, theirs)):
            watched.seconds_without_headroom += (now - last) * (device.headroom_bytes < 0)
        last = now
        await asyncio.sleep(TURN_SECONDS)
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running
    ours.cache.tier.check_integrity()
    ours.cache.storage.check_integrity()
    theirs.resizes = peer.resizes
    return ours.watched, theirs


async def _until(condition: Callable[[], bool], seconds: float) -> float:
    """Seconds until it holds; infinite if it did not in that time."""
    began = time.monotonic()
    while time.monotonic() - began < seconds:
        if condition():
            return time.monotonic() - began
        await asyncio.sleep(0.001)
    return float("inf")


async def _settling_seconds(folder: Path) -> Sequence[float]:
    """From a step of pressure until the device has headroom again, many times."""
    found = []
    for turn in range(STEPS):
        cache = CacheUnderPressure(folder / "device", time.monotonic)
        cache.device.tell(others_bytes=CALM_BYTES)
        running = asyncio.create_task(cache.loop.run())
        await asyncio.sleep(PERIOD_SECONDS * (1 + turn / STEPS))
        cache.device.tell(others_bytes=TIGHT_BYTES)
        device = cache.device
        found.append(await _until(lambda: device.headroom_bytes >= 0, 1.0))  # noqa: B023 - called within the turn
        running.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await running
    return found


async def _peer_settling_seconds(folder: Path) -> float:
    peer = TheArticlesCache(SharedDevice(Pressure(folder / "peer")))
    peer.device.tell(others_bytes=TIGHT_BYTES)
    voices = ZipfVoices()

    def turned() -> bool:
        peer.scale(time.monotonic())
        for voice in voices.next(VOICES_PER_TURN):
            peer.use(voice)
        return peer.device.headroom_bytes >= 0

    return await _until(turned, 2.0)


def sizing() -> Result:
    """Four traces in real time, and twenty steps that are timed."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        os.environ["FAKE_NVML_FILE"] = str(folder / "device")
        ctypes.CDLL(str(build(folder)))  # loaded by its name from here on: the binding finds no other
        traces = {trace: asyncio.run(_played(trace, folder)) for trace in TRACES}
        settling = asyncio.run(_settling_seconds(folder))
        peer_settling = asyncio.run(_peer_settling_seconds(folder))
    ours, theirs = ({trace: pair[who] for trace, pair in traces.items()} for who in (0, 1))
    bars = [
        Bar("overshoot over the budget, any moment", max(w.overshoot_entries for w in ours.values()), "entries", 1),
        Bar("slabs over the budget after 100 ms", max(w.late_excess_entries for w in ours.values()), "entries", 1),
        Bar("resizes per dwell on noise", ours["noise"].most_resizes_per_dwell(), "resizes", 1),
        Bar(f"a step settles, slowest of {STEPS}", max(settling) * 1000, "ms", 100),
    ]
    figures: dict[str, object] = {
        who: {
            trace: {
                "overshoot_entries": watched.overshoot_entries,
                "resizes": len(watched.resizes),
                "most_resizes_per_dwell": watched.most_resizes_per_dwell(),
                "seconds_without_headroom": round(watched.seconds_without_headroom, 3),
            }
            for trace, watched in found.items()
        }
        for who, found in (("timbre", ours), ("articles_rule", theirs))
    }
    figures["settling_ms"] = {"median": median(settling) * 1000, "max": max(settling) * 1000}
    figures["articles_rule_settled"] = peer_settling < float("inf")
    charts = [
        Chart(
            "Entries over the budget, worst trace",
            "entries",
            {name: max(w.overshoot_entries for w in found.values()) for name, found in _named(ours, theirs)},
            limit=1,
        ),
        Chart(
            "Seconds without headroom, all traces",
            "s",
            {name: sum(w.seconds_without_headroom for w in found.values()) for name, found in _named(ours, theirs)},
        ),
    ]
    workload = (
        f"step, ramp, noise and grab of {DURATION_SECONDS:.0f} s each through NVML's binding; {LIMITS.max_bytes // MIB} MiB "
        f"cache of {ENTRY_BYTES >> 10} KiB voices, dwell {LIMITS.dwell_seconds:g} s"
    )
    return Result("sizing", workload, bars, figures, charts)


def _named(ours: dict[str, Watched], theirs: dict[str, Watched]) -> Sequence[tuple[str, dict[str, Watched]]]:
    return (("timbre", ours), ("articles' rule", theirs))
