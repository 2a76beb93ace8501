"""Who wants to know what ran?"""

from __future__ import annotations

from typing import Protocol

from timbre_server.batching.policy import WorkKind


class BatchObserver(Protocol):
    """Told on the event loop after each engine call, also one that failed; must not raise or wait."""

    def batch_done(self, kind: WorkKind, size: int, *, busy_seconds: float, demand_seconds: float) -> None:
        """``size`` jobs ran together for ``busy_seconds``; alone they were predicted to take ``demand_seconds`` in sum."""
        ...

    def out_of_memory(self) -> bool:
        """A batch ran out of memory.  Returns whether some was freed, so that even a job that ran alone may try again."""
        ...


class NoObserver:
    """Nobody wants to know."""

    def batch_done(self, kind: WorkKind, size: int, *, busy_seconds: float, demand_seconds: float) -> None:
        pass

    def out_of_memory(self) -> bool:
        return False
