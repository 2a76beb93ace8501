"""What does a hit cost?  A look-up with its lease, lock and counters, beside an LRU with a lock and beside theine."""

from __future__ import annotations

import hashlib
import threading
import time
from collections.abc import Callable, Sequence

import numpy as np
import theine
from cachetools import LRUCache

from benchmarks.measuring import Bar, Chart, Result, median, quantile
from timbre_server.telemetry.metrics import Metrics
from timbre_server.voicecache.storage import HostStorage
from timbre_server.voicecache.tier import Tier

RESIDENT = 64
ROUNDS = 60
BLOCK = 2_000
"""Look-ups in a row before the next cache has its turn: all see the same machine, each with its caches warm."""
FEATURES = {"embedding": np.zeros(256, np.float32)}

Hit = Callable[[str], object]


def _timbre(keys: Sequence[str]) -> Hit:
    tier = Tier("device", HostStorage(RESIDENT * 1024), capacity_bytes=RESIDENT * 1024, observer=Metrics())
    for key in keys:
        lease = tier.put(key, key, FEATURES)
        assert lease
        lease.release()

    def hit(key: str) -> None:
        lease = tier.get(key)
        assert lease
        lease.release()

    return hit


def _lru(keys: Sequence[str]) -> Hit:
    cache: LRUCache[str, object] = LRUCache(RESIDENT)
    lock = threading.Lock()
    for key in keys:
        cache[key] = FEATURES

    def hit(key: str) -> object:
        with lock:
            return cache[key]

    return hit


def _theine(keys: Sequence[str]) -> Hit:
    cache: theine.Cache[str, object] = theine.Cache(RESIDENT)
    for key in keys:
        cache.set(key, FEATURES)

    def hit(key: str) -> object:
        return cache.get(key)

    return hit


def _nothing(key: str) -> None:
    """What measuring costs."""


CACHES: dict[str, Callable[[Sequence[str]], Hit]] = {
    "timbre": _timbre,
    "cachetools_lru_with_lock": _lru,
    "theine": _theine,
    "nothing": lambda _: _nothing,
}


def _one_by_one(hit: Hit, keys: Sequence[str]) -> list[int]:
    clock = time.perf_counter_ns
    times = []
    for key in keys:
        began = clock()
        hit(key)
        times.append(clock() - began)
    return times


def _in_a_row(hit: Hit, keys: Sequence[str]) -> float:
    began = time.perf_counter_ns()
    for key in keys:
        hit(key)
    return (time.perf_counter_ns() - began) / len(keys)


def hit() -> Result:
    """Each look-up alone for the tail, and many in a row for the cost of one without the clock's."""
    keys = [hashlib.sha256(bytes([number])).hexdigest() for number in range(RESIDENT)]
    asked = [keys[number] for number in np.random.default_rng(1).integers(0, RESIDENT, BLOCK)]
    hits = {name: build(keys) for name, build in CACHES.items()}
    alone: dict[str, list[int]] = {name: [] for name in hits}
    row: dict[str, list[float]] = {name: [] for name in hits}
    for _ in range(ROUNDS):
        for name, look_up in hits.items():
            alone[name] += _one_by_one(look_up, asked)
            row[name].append(_in_a_row(look_up, asked))
    cost = {name: median(values) for name, values in row.items()}
    bars = [
        Bar("a hit with lease, lock and counters, p99", quantile(alone["timbre"], 0.99) / 1000, "us", 5.0),
        Bar("theine's hit beside ours, medians", cost["theine"] / cost["timbre"], "x", 2.0, at_most=False),
    ]
    figures = {
        name: {"in_a_row_ns": cost[name], "p50_ns": median(alone[name]), "p99_ns": quantile(alone[name], 0.99)}
        for name in hits
    }
    peers = [name for name in CACHES if name != "nothing"]
    charts = [
        Chart("A look-up that hits, many in a row, median", "ns", {name: cost[name] for name in peers}),
        Chart("A look-up that hits, p99", "ns", {name: quantile(alone[name], 0.99) for name in peers}, limit=5000.0),
    ]
    workload = f"{RESIDENT} resident voices, one thread, {ROUNDS * BLOCK} look-ups each"
    return Result("hit", workload, bars, figures, charts)
