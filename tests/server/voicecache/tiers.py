"""A tier, its observer and its storage, as tests want them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from threading import Lock

import numpy as np

from timbre_server.domain.voice import Features, feature_bytes
from timbre_server.voicecache.storage import StorageFull
from timbre_server.voicecache.tier import Lease, Tier


class Watcher:
    """A ``TierObserver`` that keeps what it hears."""

    def __init__(self) -> None:
        self.evicted: Counter[str] = Counter()
        self.gauges: dict[str, Callable[[], float]] = {}

    def watch_voice_cache(
        self, tier: str, held_bytes: Callable[[], float], capacity_bytes: Callable[[], float]
    ) -> None:
        self.gauges |= {f"{tier} held": held_bytes, f"{tier} capacity": capacity_bytes}

    def watch_voice_lookups(self, tier: str, hits: Callable[[], int], misses: Callable[[], int]) -> None:
        self.gauges |= {f"{tier} hits": hits, f"{tier} misses": misses}

    def voice_evicted(self, tier: str, cause: str) -> None:
        self.evicted[cause] += 1


class CopyingStorage:
    """A ``FeatureStorage`` that copies, overwrites what was freed, and can be full: what a device's memory does."""

    def __init__(self) -> None:
        self.reserved_bytes = 0
        self.capacities: list[int] = []
        self.full = 0
        """How many ``store`` calls from now on find no place."""
        self.before_storing: Callable[[], None] = lambda: None
        self._lock = Lock()

    def size_bytes(self, features: Features) -> int:
        return feature_bytes(features)

    def store(self, features: Features) -> Features:
        self.before_storing()
        with self._lock:
            if self.full:
                self.full -= 1
                raise StorageFull
            self.reserved_bytes += feature_bytes(features)
        return {name: array.copy() for name, array in features.items()}

    def free(self, stored: Features) -> None:
        with self._lock:
            self.reserved_bytes -= feature_bytes(stored)
        for array in stored.values():
            array[...] = 255

    def resize(self, capacity_bytes: int) -> None:
        self.capacities.append(capacity_bytes)


def features(size_bytes: int, mark: int = 0) -> Features:
    """Features of that size whose every byte says whose they are."""
    return {"vector": np.full(size_bytes, mark, np.uint8)}


def a_tier(capacity_bytes: int = 100) -> tuple[Tier, CopyingStorage, Watcher]:
    """An empty tier."""
    storage, watcher = CopyingStorage(), Watcher()
    return Tier("device", storage, capacity_bytes=capacity_bytes, observer=watcher), storage, watcher


def put(tier: Tier, key: str, size_bytes: int = 10, *, one_off: bool = False, evicts: bool = True) -> bool:
    """Puts an entry whose recording is called as its key is, and uses it no further; whether it was taken."""
    lease = tier.put(key, key, features(size_bytes), one_off=one_off, evicts=evicts)
    if lease:
        lease.release()
    tier.check_integrity()
    return lease is not None


def used(tier: Tier, key: str) -> Lease:
    """A lease on an entry that is there."""
    lease = tier.get(key)
    assert lease is not None
    return lease
