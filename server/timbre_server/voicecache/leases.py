"""Who uses an entry, and when may its memory be another's?"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from threading import Lock

from timbre_server.domain.voice import Features
from timbre_server.sieve import Queued

Callback = Callable[[], None]


class Entry(Queued):
    """Features of one voice in one tier; everything but ``features`` belongs to the tier's lock."""

    __slots__ = ("digest", "ended", "features", "key", "lock", "one_off", "resident")

    def __init__(self, key: str, digest: str, size_bytes: int, *, one_off: bool) -> None:
        super().__init__(size_bytes)
        self.key = key
        self.digest = digest
        self.one_off = one_off
        self.features: Features = {}
        """One mapping object for as long as the entry lives."""
        self.resident = False
        """Whether look-ups find it; else it ends with its last user."""
        self.lock: Lock
        """The tier's."""
        self.ended: Callable[[Entry], Sequence[Callback]]
        """Frees the memory, under the lock; returns what to call after it."""


class Lease:
    """One use of an entry: until ``release`` its memory is nobody else's."""

    __slots__ = ("entry", "features")

    features: Features
    """One mapping object for all leases of an entry."""
    entry: Entry | None
    """None once released."""

    def release(self) -> None:
        """Ends the use.  Idempotent; may be called from any thread."""
        entry = self.entry
        if entry is None:
            return
        # Not ``with``: it would cost each hit 40 ns, and up to ``ended`` nothing can raise.
        lock = entry.lock
        lock.acquire()
        if self.entry is None:  # another thread was faster
            lock.release()
            return
        self.entry = None
        entry.users -= 1
        if entry.users or entry.resident:
            lock.release()
            return
        try:
            callbacks = entry.ended(entry)
        finally:
            lock.release()
        for callback in callbacks:
            callback()


def lease_on(entry: Entry) -> Lease:
    """A lease for a user that is counted already."""
    lease = Lease()  # a constructor of its own would add a fifth to a hit
    lease.entry = entry
    lease.features = entry.features
    return lease


class Leavers:
    """Entries in use that no look-up finds any more, by their recording.  Not thread-safe."""

    def __init__(self) -> None:
        self._entries: dict[str, set[Entry]] = {}
        self._waiting: dict[str, list[Callback]] = {}

    def __contains__(self, item: str | Entry) -> bool:
        """Whether there are such of a recording, or whether an entry is one."""
        if isinstance(item, Entry):
            return item in self._entries.get(item.digest, ())
        return item in self._entries

    def __iter__(self) -> Iterator[Entry]:
        return (entry for group in self._entries.values() for entry in group)

    def add(self, entry: Entry) -> None:
        """An entry in use was evicted or forgotten."""
        self._entries.setdefault(entry.digest, set()).add(entry)

    def when_gone(self, digest: str, callback: Callback) -> bool:
        """Whether there is something to wait for; then ``callback`` is among what its last ``remove`` returns."""
        if digest in self._entries:
            self._waiting.setdefault(digest, []).append(callback)
            return True
        return False

    def remove(self, entry: Entry) -> Sequence[Callback]:
        """The last user of an entry left, if it was here at all; returns whom to tell that none of its recording is left."""
        group = self._entries.get(entry.digest, set())
        group.discard(entry)
        if group:
            return ()
        self._entries.pop(entry.digest, None)
        return self._waiting.pop(entry.digest, ())
