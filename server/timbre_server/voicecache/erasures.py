"""Was a recording erased since a caller learnt of it?"""

from __future__ import annotations

from collections import OrderedDict
from typing import Final

REMEMBERED: Final = 10_000
"""Erased recordings that are known one by one: 1.5 MB.  Requests live for minutes, and so many erasures take longer."""


class Erasures:
    """The order of erasures as this pod saw them; pure, and bounded."""

    def __init__(self, remembered: int = REMEMBERED) -> None:
        self._remembered = remembered
        self._latest: OrderedDict[str, int] = OrderedDict()
        self._forgotten_up_to = 0
        self.count = 0

    def note(self, digest: str) -> None:
        """One more erasure."""
        self.count += 1
        self._latest[digest] = self.count
        self._latest.move_to_end(digest)
        if len(self._latest) > self._remembered:
            _, self._forgotten_up_to = self._latest.popitem(last=False)

    def since(self, digest: str, point: int) -> bool:
        """Whether it was erased after ``count`` had been ``point``; True too where that was too long ago to tell."""
        return point < self._forgotten_up_to or self._latest.get(digest, 0) > point
