"""Which entry goes when there is no room?

SIEVE: entries stand in the order of their arrival, a hit only marks its entry, and a hand walks from the oldest to the newest,
takes a mark from what it passes, and stops at the first that has none.  Entries that were never asked for again go early, so
a scan of one-off voices leaves the regulars alone; and a hit moves nothing, so it is cheap.

References: Zhang et al., SIEVE is Simpler than LRU, NSDI 2024.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, Generic, TypeVar

MAX_MARKS: Final = 2
"""SIEVE has one.  With two, 20 slots under Zipf 1.0 hit 1.02 times as often, and after all voices changed places at once 64
slots hit 0.96 times as often until it has settled; a third adds 0.01 and costs 0.04 (simulated on 40,000 requests)."""


class Queued:
    """What may stand in a queue: one queue at a time."""

    __slots__ = ("marks", "newer", "older", "size_bytes", "users")

    def __init__(self, size_bytes: int) -> None:
        self.size_bytes = size_bytes
        self.users = 0
        """How many use it now; the hand passes over an entry in use."""
        self.marks = 0
        """Hits since the hand came by, no more than ``MAX_MARKS`` of them."""
        self.newer: Queued = self
        self.older: Queued = self


EntryT = TypeVar("EntryT", bound=Queued)


class SieveQueue(Generic[EntryT]):
    """Entries in the order of their arrival, and the hand.  Not thread-safe."""

    def __init__(self) -> None:
        self._ends = Queued(0)  # a ring: the oldest is ``newer`` than the ends, and the newest is ``older``
        self._hand: Queued = self._ends
        self._length = 0
        self.size_bytes = 0

    def __len__(self) -> int:
        return self._length

    def __iter__(self) -> Iterator[EntryT]:
        """From the oldest to the newest."""
        entry = self._ends.newer
        while entry is not self._ends:
            following = entry.newer
            yield entry  # type: ignore[misc]  # ``add`` takes nothing else
            entry = following

    def add(self, entry: EntryT) -> None:
        """Puts an entry at the newest end."""
        newest = self._ends.older
        entry.older, entry.newer = newest, self._ends
        newest.newer = self._ends.older = entry
        self._length += 1
        self.size_bytes += entry.size_bytes

    def remove(self, entry: EntryT) -> None:
        """Takes an entry out, wherever it stands."""
        if self._hand is entry:
            self._hand = entry.newer
        entry.older.newer, entry.newer.older = entry.newer, entry.older
        entry.newer = entry.older = entry
        self._length -= 1
        self.size_bytes -= entry.size_bytes

    def victim(self) -> EntryT | None:
        """The entry that should go next, still in the queue; None if all are in use."""
        hand = self._hand
        # As many rounds as marks take, one more, and the ends between them.
        for _ in range((MAX_MARKS + 1) * (self._length + 1)):
            if hand is not self._ends and not hand.users:
                if not hand.marks:
                    self._hand = hand
                    return hand  # type: ignore[return-value]  # as above
                hand.marks -= 1
            hand = hand.newer
        self._hand = hand
        return None
