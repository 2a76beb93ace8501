"""Which entries would still be hits, had the tier been larger?"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import Final

MAX_GHOSTS: Final = 16_384
"""Keys that are remembered at most: about 4 MB of strings and tuples, for voices of a kilobyte as well."""


@dataclass(frozen=True)
class GhostHits:
    """Look-ups of entries that were evicted not long before; both only grow, so two readings give a window."""

    count: int = 0
    size_bytes: int = 0


class Ghosts:
    """Keys of entries that were evicted, until as many bytes as ``horizon_bytes`` were evicted after them.

    A key that lies deeper would have been no hit even in a tier larger by the horizon.  Not thread-safe.
    """

    def __init__(self, horizon_bytes: int) -> None:
        self._horizon_bytes = horizon_bytes
        self._size_bytes = 0
        self._ghosts: OrderedDict[str, tuple[str, int]] = OrderedDict()
        self.hits: dict[str, GhostHits] = {}
        """By the cause of the eviction."""

    def __len__(self) -> int:
        return len(self._ghosts)

    def evicted(self, key: str, size_bytes: int, cause: str) -> None:
        """An entry went for lack of room."""
        self.forget(key)
        self._ghosts[key] = cause, size_bytes
        self._size_bytes += size_bytes
        while self._size_bytes > self._horizon_bytes or len(self._ghosts) > MAX_GHOSTS:
            _, (_, gone_bytes) = self._ghosts.popitem(last=False)
            self._size_bytes -= gone_bytes

    def missed(self, key: str) -> None:
        """A look-up found nothing; an eviction is regretted once."""
        if ghost := self.forget(key):
            cause, size_bytes = ghost
            before = self.hits.get(cause, GhostHits())
            self.hits[cause] = GhostHits(before.count + 1, before.size_bytes + size_bytes)

    def forget(self, key: str) -> tuple[str, int] | None:
        """Removes a key; cause and size of its eviction, if it was there."""
        ghost = self._ghosts.pop(key, None)
        if ghost:
            self._size_bytes -= ghost[1]
        return ghost
