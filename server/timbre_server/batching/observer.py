"""Who wants to know what ran?"""

from __future__ import annotations

from typing import Protocol


class BatchObserver(Protocol):
    """Told on the event loop after each engine call, also one that failed; must not raise or wait."""

    def batch_done(self, size: int, *, busy_seconds: float) -> None:
        """``size`` jobs ran together for ``busy_seconds``."""
        ...

    def out_of_memory(self) -> bool:
        """A batch ran out of memory.  Returns whether some was freed, so that even a job that ran alone may try again."""
        ...


class NoObserver:
    """Nobody wants to know."""

    def batch_done(self, size: int, *, busy_seconds: float) -> None:
        pass

    def out_of_memory(self) -> bool:
        return False
