"""Which voices are in this memory, who uses them, and which one goes when there is no room?"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Sequence
from threading import Lock
from typing import Final, Protocol

from timbre_server.domain.voice import Features
from timbre_server.sieve import MAX_MARKS
from timbre_server.voicecache.ghosts import GhostHits, Ghosts
from timbre_server.voicecache.leases import Callback, Entry, Lease, Leavers, lease_on
from timbre_server.voicecache.order import EvictionOrder
from timbre_server.voicecache.storage import FeatureStorage, StorageFull

__all__ = ["CAPACITY", "ERASED", "GhostHits", "Lease", "Tier", "TierObserver"]

CAPACITY: Final = "capacity"
"""Cause of an eviction: another entry needed the room."""

ERASED: Final = "erased"
"""Cause of an eviction: the recording must not be spoken any more."""


class TierObserver(Protocol):
    """What a tier tells of itself; ``telemetry.metrics.Metrics`` is one."""

    def watch_voice_cache(
        self, tier: str, held_bytes: Callable[[], float], capacity_bytes: Callable[[], float]
    ) -> None: ...

    def watch_voice_lookups(self, tier: str, hits: Callable[[], int], misses: Callable[[], int]) -> None: ...

    def voice_evicted(self, tier: str, cause: str) -> None:
        """Called under the tier's lock: it must be quick, and not call the tier."""
        ...


class Tier:
    """Voices in one memory, bounded in bytes.  Thread-safe; every counter is exact.

    The first features that were put under a key stay until they are evicted or forgotten, and then their memory is freed
    after their last lease.  Entries in use are evicted only where a shrinking capacity leaves no choice.
    """

    def __init__(
        self,
        name: str,
        storage: FeatureStorage,
        *,
        capacity_bytes: int,
        observer: TierObserver,
        ghost_bytes: int | None = None,
    ) -> None:
        """``ghost_bytes``: by how much the tier may ever grow, the horizon of ``ghost_hits``; default: to its double."""
        self.name = name
        self.capacity_bytes = capacity_bytes
        self.held_bytes = 0
        """Memory in use: entries, those evicted or forgotten that are still in use, and those being stored."""
        self.hits = 0
        self.misses = 0
        self.refusals = 0
        """How often ``put`` found no room."""
        self.evictions: Counter[str] = Counter()
        """By cause."""
        self._storage = storage
        self._observer = observer
        self._lock = Lock()
        self._resizing = Lock()
        self._entries: dict[str, Entry] = {}
        self._by_digest: dict[str, set[Entry]] = {}
        self._storing: set[Entry] = set()
        self._leavers = Leavers()
        self._order = EvictionOrder()
        self._ghosts = Ghosts(capacity_bytes if ghost_bytes is None else ghost_bytes)
        observer.watch_voice_cache(name, lambda: self.held_bytes, lambda: self.capacity_bytes)
        observer.watch_voice_lookups(name, lambda: self.hits, lambda: self.misses)

    @property
    def entries(self) -> int:
        """How many voices a look-up would find."""
        return len(self._entries)

    @property
    def free_bytes(self) -> int:
        """What can be put without an eviction."""
        return max(0, self.capacity_bytes - self.held_bytes)

    def holds(self, key: str) -> bool:
        """Whether a look-up would hit now; counts and marks nothing."""
        return key in self._entries

    def recording(self, key: str) -> str | None:
        """Digest of the recording under that key, None if a look-up would miss; counts and marks nothing."""
        entry = self._entries.get(key)
        return None if entry is None else entry.digest

    def adopted(self, key: str) -> Lease | None:
        """Makes a one-off entry a regular one; a lease on it if it was one-off until now.  Counts nothing."""
        entry = self._entries.get(key)
        if entry is None or not entry.one_off:
            return None  # without the lock: this is asked with each hit
        with self._lock:
            if not entry.one_off or not entry.resident:
                return None
            return self._used_again(entry, one_off=False)

    def ghost_hits(self, cause: str = CAPACITY) -> GhostHits:
        """Misses so far of entries that had been evicted for that cause and would be hits in a larger tier."""
        return self._ghosts.hits.get(cause, GhostHits())

    def get(self, key: str) -> Lease | None:
        """A lease on the features under that key, or None; counts a hit or a miss."""
        lock = self._lock
        lock.acquire()  # not ``with``, as in ``Lease.release``
        entry = self._entries.get(key)
        if entry is None:
            self.misses += 1
            self._ghosts.missed(key)
            lock.release()
            return None
        if entry.marks < MAX_MARKS:
            entry.marks += 1
        entry.users += 1
        self.hits += 1
        lock.release()
        lease = Lease()  # ``lease_on`` without the cost of its call
        lease.entry = entry
        lease.features = entry.features
        return lease

    def put(
        self, key: str, digest: str, features: Features, *, one_off: bool = False, evicts: bool = True
    ) -> Lease | None:
        """A lease on what is under that key from now on: these features, or those that were there before.

        None if they are larger than the capacity, if everything that could go is in use, or if they are one-off and
        regulars fill the tier; without ``evicts`` also if something must go for them.  Features are stored outside the lock,
        so look-ups go on meanwhile; if their recording is forgotten in that time, the lease is good but no look-up finds
        them.
        """
        size_bytes = self._storage.size_bytes(features)
        with self._lock:
            if found := self._entries.get(key):
                return self._used_again(found, one_off=one_off)
            if not evicts and self.held_bytes + size_bytes > self.capacity_bytes:
                return None
            if not self._make_room(size_bytes, one_off=one_off):
                self.refusals += 1
                return None
            entry = self._reserve(key, digest, size_bytes, one_off=one_off)
        try:
            stored = self._stored(entry, features, spared_bytes=size_bytes if evicts else 0)
        except BaseException:
            self._publish(entry, None)
            raise
        return self._publish(entry, stored)

    def forget(self, digest: str, cause: str = ERASED) -> int:
        """Removes all entries of a recording, those being stored as well; how many.  Those in use end with their users."""
        with self._lock:
            entries = tuple(self._by_digest.get(digest, ()))
            for entry in entries:
                self._remove(entry, cause)
            return len(entries)

    def in_use(self, digest: str) -> bool:
        """Whether somebody still uses an entry of that recording that was forgotten or evicted."""
        return digest in self._leavers

    def when_unused(self, digest: str, callback: Callback) -> None:
        """Calls ``callback`` once ``in_use`` is false: now, or on the thread of the last user."""
        with self._lock:
            waits = self._leavers.when_gone(digest, callback)
        if not waits:
            callback()

    async def unused(self, digest: str) -> None:
        """Returns once ``in_use`` is false."""
        loop, unused = asyncio.get_running_loop(), asyncio.Event()

        def tell() -> None:
            with contextlib.suppress(RuntimeError):  # the loop may have ended before the last user
                loop.call_soon_threadsafe(unused.set)

        self.when_unused(digest, tell)
        await unused.wait()

    def resize(self, capacity_bytes: int, cause: str) -> int:
        """Sets the capacity and evicts down to it at once; returns the bytes freed, without those that are still in use."""
        with self._resizing:
            if capacity_bytes > self.capacity_bytes:
                self._storage.resize(capacity_bytes)
                with self._lock:
                    self.capacity_bytes = capacity_bytes
                return 0
            with self._lock:
                self.capacity_bytes = capacity_bytes
                before_bytes = self.held_bytes
                self._evict_down(cause)
                freed_bytes = before_bytes - self.held_bytes
            self._storage.resize(capacity_bytes)
            return freed_bytes

    def check_integrity(self) -> None:
        """Asserts that every count is that of the entries, that each stands where it should, and that budgets are kept."""
        with self._lock:
            queued, leaving = list(self._order), set(self._leavers)
            assert {entry.key: entry for entry in queued} == self._entries
            assert len(queued) == len(self._entries)
            assert all(entry.resident and entry.users >= 0 for entry in queued)
            assert all(not entry.resident and entry.users > 0 for entry in leaving)
            findable = {entry for group in self._by_digest.values() for entry in group}
            assert findable == {*queued, *(self._storing - leaving)}
            assert all(self._by_digest.values())
            self._order.check_integrity()
            assert self._order.size_bytes <= self.capacity_bytes
            assert self.held_bytes == sum(entry.size_bytes for entry in {*queued, *leaving, *self._storing})

    # Everything below runs under the lock, except ``_stored`` and ``_publish``.

    def _used_again(self, entry: Entry, *, one_off: bool) -> Lease:
        if entry.one_off and not one_off:
            self._make_regular(entry)
        entry.users += 1
        return lease_on(entry)

    def _make_regular(self, entry: Entry) -> None:
        self._order.remove(entry)
        entry.one_off = False
        self._order.add(entry)

    def _make_room(self, size_bytes: int, *, one_off: bool) -> bool:
        unmovable_bytes = self.held_bytes - self._order.size_bytes
        if unmovable_bytes + size_bytes > self.capacity_bytes:
            return False  # before anybody goes for nothing
        while self.held_bytes + size_bytes > self.capacity_bytes:
            victim = self._order.victim(self.capacity_bytes, size_bytes, one_off=one_off)
            if victim is None:
                return False
            self._remove(victim, CAPACITY)
        return True

    def _reserve(self, key: str, digest: str, size_bytes: int, *, one_off: bool) -> Entry:
        entry = Entry(key, digest, size_bytes, one_off=one_off)
        entry.lock, entry.ended = self._lock, self._ended
        entry.users = 1
        self._storing.add(entry)
        self._by_digest.setdefault(digest, set()).add(entry)
        self.held_bytes += size_bytes
        return entry

    def _stored(self, entry: Entry, features: Features, *, spared_bytes: int) -> Features | None:
        """Stores; where the storage is full although there should be room, evicts so much before it gives up."""
        while True:
            try:
                return self._storage.store(features)
            except StorageFull:
                with self._lock:
                    victim = self._order.victim(self.capacity_bytes, entry.size_bytes, one_off=entry.one_off)
                    if victim is None or spared_bytes <= 0:
                        return None
                    spared_bytes -= victim.size_bytes
                    self._remove(victim, CAPACITY)

    def _publish(self, entry: Entry, stored: Features | None) -> Lease | None:
        """Makes a stored entry one that look-ups find, unless it was forgotten, or another came first."""
        with self._lock:
            self._storing.remove(entry)
            entry.features = stored or {}
            first = self._entries.get(entry.key)
            if stored is not None and entry in self._leavers:
                return lease_on(entry)
            if stored is not None and first is None:
                entry.resident = True
                self._entries[entry.key] = entry
                self._order.add(entry)
                self._ghosts.forget(entry.key)
                if self.held_bytes > self.capacity_bytes:  # which may have shrunk meanwhile
                    self._evict_down(CAPACITY)
                return lease_on(entry)
            entry.users = 0
            self._unlist(entry)
            callbacks = self._ended(entry)
            lease = None if stored is None or first is None else self._used_again(first, one_off=entry.one_off)
        for callback in callbacks:
            callback()
        return lease

    def _evict_down(self, cause: str) -> None:
        while self.held_bytes > self.capacity_bytes and (victim := self._order.least()):
            self._remove(victim, cause)
        for entry in self._order:  # in use, all of them, or there is room
            if self._order.size_bytes <= self.capacity_bytes:
                return
            self._remove(entry, cause)

    def _remove(self, entry: Entry, cause: str) -> None:
        """Takes an entry from where look-ups or ``_publish`` would find it; frees it, or leaves that to its last user."""
        self._unlist(entry)
        if entry.resident:
            entry.resident = False
            del self._entries[entry.key]
            self._order.remove(entry)
            self.evictions[cause] += 1
            self._observer.voice_evicted(self.name, cause)
            if cause != ERASED:
                self._ghosts.evicted(entry.key, entry.size_bytes, cause)
        if entry.users:
            self._leavers.add(entry)
        else:
            self._ended(entry)

    def _unlist(self, entry: Entry) -> None:
        group = self._by_digest.get(entry.digest, set())
        group.discard(entry)
        if not group:
            self._by_digest.pop(entry.digest, None)

    def _ended(self, entry: Entry) -> Sequence[Callback]:
        if entry.features:
            self._storage.free(entry.features)
            entry.features = {}
        self.held_bytes -= entry.size_bytes
        return self._leavers.remove(entry)
