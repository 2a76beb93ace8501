"""How many look-ups hit, at equal bytes?  Beside the tier: LRU, W-TinyLFU, and the best that a fixed choice of voices gives."""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Callable, Iterable, Sequence

import numpy as np
import theine
from cachetools import LRUCache

from benchmarks.measuring import Bar, Chart, Result
from timbre_server.telemetry.metrics import Metrics
from timbre_server.voicecache.storage import HostStorage
from timbre_server.voicecache.tier import Tier

VOICES, REQUESTS, ONE_OFF_SHARE, ZIPF = 1000, 60_000, 0.2, 1.0
SEEDS = (1, 2, 3)
SLOTS = (20, 64)
FEATURES = {"embedding": np.zeros(256, np.float32)}
ENTRY_BYTES = 1024

Trace = Sequence[tuple[str, bool]]
"""Keys in the order of their look-ups, and whether each is a one-off."""


def _trace(seed: int) -> Trace:
    """Zipf over the voices; a fifth of the requests bring a recording that never comes again."""
    random = np.random.default_rng(seed)
    popularity = 1 / np.arange(1, VOICES + 1) ** ZIPF
    voices = random.choice(VOICES, REQUESTS, p=popularity / popularity.sum())
    one_offs = random.random(REQUESTS) < ONE_OFF_SHARE
    return [
        (f"once-{number}", True) if one_off else (f"voice-{voice}", False)
        for number, (voice, one_off) in enumerate(zip(voices, one_offs, strict=True))
    ]


def _tier(trace: Trace, slots: int, *, told: bool) -> float:
    """Our tier; ``told``: requests with a recording of their own are marked as what they are."""
    capacity_bytes = slots * ENTRY_BYTES
    tier = Tier("host", HostStorage(capacity_bytes), capacity_bytes=capacity_bytes, observer=Metrics())
    for key, one_off in trace:
        lease = tier.get(key) or tier.put(key, key, FEATURES, one_off=told and one_off)
        if lease:
            lease.release()
    tier.check_integrity()
    return tier.hits / len(trace)


def _lru(trace: Trace, slots: int) -> float:
    cache: LRUCache[str, bool] = LRUCache(slots)
    hits = 0
    for key, _ in trace:
        if cache.get(key):
            hits += 1
        else:
            cache[key] = True
    return hits / len(trace)


def _tiny_lfu(trace: Trace, slots: int) -> float:
    cache: theine.Cache[str, bool] = theine.Cache(slots)
    hits = 0
    for key, _ in trace:
        _, found = cache.get(key)
        if found:
            hits += 1
        else:
            cache.set(key, True)  # noqa: FBT003 - its own signature
    return hits / len(trace)


def _best_choice(trace: Trace, slots: int) -> float:
    """Whoever knew the whole trace and never changed the entries."""
    return sum(count for _, count in Counter(key for key, _ in trace).most_common(slots)) / len(trace)


POLICIES: dict[str, Callable[[Trace, int], float]] = {
    "timbre": functools.partial(_tier, told=False),
    "timbre, told of one-offs": functools.partial(_tier, told=True),
    "lru": _lru,
    "w_tiny_lfu": _tiny_lfu,
    "static_optimum": _best_choice,
}


def _mean(values: Iterable[float]) -> float:
    return float(np.mean(list(values)))


def eviction() -> Result:
    """Means over three traces; the bars hold for the tier that is told nothing."""
    traces = [_trace(seed) for seed in SEEDS]
    ratios = {
        str(slots): {name: _mean(policy(trace, slots) for trace in traces) for name, policy in POLICIES.items()}
        for slots in SLOTS
    }
    bars = []
    for slots, found in ratios.items():
        ours = found["timbre"]
        if slots == "20":
            bars.append(Bar(f"{slots} slots: hits beside LRU", ours / found["lru"], "x", 1.6, at_most=False))
        bars += [
            Bar(f"{slots} slots: hits beside W-TinyLFU", ours / found["w_tiny_lfu"], "x", 0.97, at_most=False),
            Bar(f"{slots} slots: hits beside the optimum", ours / found["static_optimum"], "x", 0.93, at_most=False),
        ]
    workload = f"{REQUESTS} requests, {VOICES} voices, Zipf {ZIPF}, {ONE_OFF_SHARE:.0%} one-offs, equal sizes"
    charts = [Chart(f"Hit ratio at {slots} slots", "share", found) for slots, found in ratios.items()]
    return Result("eviction", workload, bars, {"hit_ratio_by_slots": ratios}, charts)
