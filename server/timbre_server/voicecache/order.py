"""In which order do entries go: regulars, and the one-off entries that must not push them out?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from timbre_server.sieve import SieveQueue
from timbre_server.voicecache.leases import Entry

ONE_OFF_PERCENT: Final = 2
"""Share of the capacity that one-off entries keep while regulars want more: enough for those who send the same recording with
each request.  At 10, the share of the probation queue in S3-FIFO, 20 slots hit less often than if nobody told which requests
are one-offs (`make bench ROW=eviction`)."""


class EvictionOrder:
    """A SIEVE queue of regulars and one of one-off entries.  Not thread-safe.

    One-offs may fill memory that nobody needs, but beyond their share they go before any regular does, and never push one out.
    """

    def __init__(self) -> None:
        self._regulars: SieveQueue[Entry] = SieveQueue()
        self._one_offs: SieveQueue[Entry] = SieveQueue()

    @property
    def size_bytes(self) -> int:
        """Bytes of all entries."""
        return self._regulars.size_bytes + self._one_offs.size_bytes

    def __iter__(self) -> Iterator[Entry]:
        """All entries, the one-off ones first, each kind from the oldest to the newest."""
        yield from self._one_offs
        yield from self._regulars

    def add(self, entry: Entry) -> None:
        """A new entry, or one that became another kind."""
        (self._one_offs if entry.one_off else self._regulars).add(entry)

    def remove(self, entry: Entry) -> None:
        """An entry goes, whether it was its turn or not."""
        (self._one_offs if entry.one_off else self._regulars).remove(entry)

    def victim(self, capacity_bytes: int, size_bytes: int, *, one_off: bool) -> Entry | None:
        """Who goes for an entry of that size and kind, still in its queue; None if there is nobody whom it may push out."""
        probation_bytes = self._one_offs.size_bytes + (size_bytes if one_off else 0)
        if probation_bytes * 100 <= ONE_OFF_PERCENT * capacity_bytes:
            return self._regulars.victim() or self._one_offs.victim()
        return self._one_offs.victim() or (None if one_off else self._regulars.victim())

    def least(self) -> Entry | None:
        """Who goes when the capacity shrinks; None if all are in use."""
        return self._one_offs.victim() or self._regulars.victim()

    def check_integrity(self) -> None:
        """Asserts that each entry stands where it should, and that the bytes are theirs."""
        for queue, one_off in ((self._regulars, False), (self._one_offs, True)):
            queued = list(queue)
            assert all(entry.one_off is one_off for entry in queued)
            assert len(queued) == len(queue)
            assert sum(entry.size_bytes for entry in queued) == queue.size_bytes
