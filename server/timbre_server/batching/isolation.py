"""What is done after a batch failed, so that a job fails alone and memory suffices next time?"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TypeVar

J = TypeVar("J")


def halves(jobs: Sequence[J]) -> Sequence[Sequence[J]]:
    """Two batches to try instead of one that failed; a guilty job of n is alone after log2(n) rounds."""
    middle = (len(jobs) + 1) // 2
    return [part for part in (jobs[:middle], jobs[middle:]) if part]


RELIEF_SECONDS = 60.0
"""How long a batch size that once ran out of memory is avoided before twice as many jobs are tried again: long
beside a request, so that a lasting shortage costs at most one failed batch a minute."""


@dataclass
class SizeCap:
    """The largest batch that memory has room for, as far as we know."""

    largest: int
    _size: int = field(init=False)
    _grows_at: float = field(default=0.0, init=False)

    def __post_init__(self) -> None:
        self._size = self.largest

    def at(self, now: float) -> int:
        """How many jobs a batch may hold at that loop time."""
        while self._size < self.largest and now >= self._grows_at:
            self._size = min(self.largest, 2 * self._size)
            self._grows_at += RELIEF_SECONDS
        return self._size

    def halve(self, failed_size: int, now: float) -> None:
        """A batch of that size ran out of memory."""
        self._size = max(1, min(self._size, failed_size) // 2)
        self._grows_at = now + RELIEF_SECONDS
