"""How large may the cache on the device be now?  A pure decision from what the device says and what the cache misses.

The free memory that counts is *headroom* = what is free + what torch keeps back (reserved - allocated) - what is to stay
free.  Evicted voices lower torch's ``allocated`` at once, but NVML's ``used`` only when slabs went back; without the middle
term the controller would see no effect of what it did and evict again (wind-up).

Below 0 headroom the budget shrinks at once, and by ``margin_bytes`` more than needed; it grows by one step at a time
only after the headroom stayed above two margins for a dwell time, while the cache is full and evicted voices are asked
for again.  Noise below a margin therefore causes one resize and no further one.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from timbre_server.voicecache.nvml import DeviceReading
from timbre_server.voicecache.slabs import SLAB_BYTES

PRESSURE: Final = "pressure"
"""Reason of a resize: somebody needs the device's memory."""
OUT_OF_MEMORY: Final = "out_of_memory"
"""Reason: the engine found none."""
DEMAND: Final = "demand"
"""Reason: voices that were evicted are asked for again, and there is memory."""

STEPS: Final = 8
"""From the least budget to the greatest: few enough that a cache grows within minutes, and each step, which is also
the margin, is small beside the whole (248 MiB of the default 2 GiB)."""
DWELL_SECONDS: Final = 10.0
"""How long headroom must last before a step up: longer than a batch of the slowest engine (some seconds), whose own
memory comes and goes with it."""
OUT_OF_MEMORY_SHARE: Final = 0.25
"""Of the cache, given up at each out-of-memory: three of them in a row free more than half, and one costs few hits."""
HOLD_SECONDS: Final = 60.0
"""No growth for so long after an out-of-memory: the same batch sizes will come again within a minute of traffic."""


@dataclass(frozen=True)
class SizingLimits:
    """Within what the policy decides."""

    min_bytes: int
    max_bytes: int
    keep_free_percent: int
    """How much of the device stays free for others."""
    quantum_bytes: int = SLAB_BYTES
    """Budgets are whole multiples of this, as far as the bounds allow."""
    dwell_seconds: float = DWELL_SECONDS
    hold_seconds: float = HOLD_SECONDS

    @property
    def step_bytes(self) -> int:
        """The most that one resize adds, and the margin between the thresholds."""
        return max(self.quantum_bytes, self.whole(max(0, self.max_bytes - self.min_bytes) // STEPS))

    def whole(self, size_bytes: int) -> int:
        """Rounded down to the quantum."""
        return size_bytes - size_bytes % self.quantum_bytes

    def bounded(self, size_bytes: int) -> int:
        """The nearest budget that is allowed."""
        return min(self.max_bytes, max(self.min_bytes, self.whole(size_bytes)))


@dataclass(frozen=True)
class CacheState:
    """The cache on the device as it is now."""

    capacity_bytes: int
    reserved_bytes: int
    """What it takes of the device."""
    ghost_bytes: int = 0
    """How many bytes of evicted voices were asked for again so far: only grows."""


@dataclass(frozen=True)
class SizingState:
    """What the policy remembers between decisions; times are of the caller's clock, in seconds."""

    capacity_bytes: int
    resized_at: float
    calm_since: float | None = None
    """Since when the headroom has been large enough to grow, without a break."""
    grows_not_before: float = 0.0
    window_from: float = 0.0
    """Growth is considered once a dwell; this is when the last time was."""
    ghost_bytes: int = 0
    """``CacheState.ghost_bytes`` at that time."""


@dataclass(frozen=True)
class Decision:
    """What to do; ``reason`` is None where the budget stays."""

    state: SizingState
    reason: str | None = None

    @property
    def capacity_bytes(self) -> int:
        """The budget from now on."""
        return self.state.capacity_bytes


def headroom_bytes(limits: SizingLimits, reading: DeviceReading, cache: CacheState) -> int:
    """What more the cache could take; below 0, what it must give up.

    Slabs beyond the capacity wait for their last users and will come back: they count as free.
    """
    keep_free = reading.total_bytes * limits.keep_free_percent // 100
    coming_back = max(0, cache.reserved_bytes - cache.capacity_bytes)
    kept_back = max(0, reading.reserved_bytes - reading.allocated_bytes)
    return reading.free_bytes + kept_back + coming_back - keep_free


def first_state(limits: SizingLimits, reading: DeviceReading | None, now: float) -> SizingState:
    """The budget to start with: what the device has to spare less a margin, or all of it where nobody can say."""
    capacity = limits.max_bytes
    if reading is not None:
        capacity = limits.bounded(headroom_bytes(limits, reading, CacheState(0, 0)) - limits.step_bytes)
    return SizingState(capacity, resized_at=now, window_from=now)


def decide(
    limits: SizingLimits, state: SizingState, reading: DeviceReading | None, cache: CacheState, now: float
) -> Decision:
    """What the budget shall be from now on.

    Without a reading there is always headroom: what an out-of-memory took comes back on demand, and no more.
    """
    enough = 2 * limits.step_bytes
    headroom = enough if reading is None else headroom_bytes(limits, reading, cache)
    if headroom < enough:
        state = replace(state, calm_since=None)
    elif state.calm_since is None:
        state = replace(state, calm_since=now)
    if headroom < 0:
        return _shrunk(limits, state, cache, headroom, now)
    if now - state.window_from < limits.dwell_seconds:
        return Decision(state)
    wanted = cache.ghost_bytes - state.ghost_bytes
    considered = replace(state, window_from=now, ghost_bytes=cache.ghost_bytes)
    return _grown(limits, considered, cache, wanted, now)


def after_out_of_memory(limits: SizingLimits, state: SizingState, cache: CacheState, now: float) -> Decision:
    """A share less than it holds, and no growth for a while."""
    held = min(cache.reserved_bytes, state.capacity_bytes)
    less = max(limits.quantum_bytes, int(held * OUT_OF_MEMORY_SHARE))
    state = replace(state, calm_since=None, grows_not_before=now + limits.hold_seconds)
    return _resized(state, min(state.capacity_bytes, limits.bounded(held - less)), cache, now, OUT_OF_MEMORY)


def _shrunk(limits: SizingLimits, state: SizingState, cache: CacheState, headroom: int, now: float) -> Decision:
    """What it holds less what is missing, and a margin; twice the margin where one was used up within a dwell."""
    again = now - state.resized_at < limits.dwell_seconds
    held = min(cache.reserved_bytes, state.capacity_bytes)
    less = limits.step_bytes * (2 if again else 1) - headroom
    return _resized(state, min(state.capacity_bytes, limits.bounded(held - less)), cache, now, PRESSURE)


def _grown(limits: SizingLimits, state: SizingState, cache: CacheState, wanted_bytes: int, now: float) -> Decision:
    """By what is wanted, a step at most, if it is full and all has been calm for a dwell: that leaves a margin."""
    calm = state.calm_since is not None and now - state.calm_since >= limits.dwell_seconds
    full = cache.reserved_bytes > state.capacity_bytes - limits.step_bytes
    if not calm or not full or wanted_bytes <= 0 or now < state.grows_not_before:
        return Decision(state)
    more_bytes = min(limits.step_bytes, max(limits.quantum_bytes, wanted_bytes))
    return _resized(state, limits.bounded(state.capacity_bytes + more_bytes), cache, now, DEMAND)


def _resized(state: SizingState, capacity_bytes: int, cache: CacheState, now: float, reason: str) -> Decision:
    if capacity_bytes == state.capacity_bytes:
        return Decision(state)
    window = replace(state, window_from=now, ghost_bytes=cache.ghost_bytes)
    return Decision(replace(window, capacity_bytes=capacity_bytes, resized_at=now), reason)
