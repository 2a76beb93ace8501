"""How long may Redis take, if the time through which this process itself slept does not count?

A process that was stopped, or got no processor, finds its timers due before it has read what came in meanwhile.  By the
clock alone it would take its own sleep for the silence of Redis, and speak a voice unchecked that Redis knows better.
"""

from __future__ import annotations

import asyncio
from types import TracebackType
from typing import Final, Self

SLICE_SECONDS: Final = 0.01
"""How often the waiting looks at the clock: a fifth of the shortest default wait (``read_timeout_seconds``)."""

LATE_SECONDS: Final = 2 * SLICE_SECONDS
"""The most that one slice counts.  A loop that is only busy is later than that for a slice or two; one that slept, for long."""


class Patience:
    """An asynchronous context manager that raises ``TimeoutError`` after so many seconds in which the loop was awake.

    A slice that was slept through is not the last one: what came in meanwhile is read first.
    """

    def __init__(self, seconds: float) -> None:
        """``seconds`` > 0."""
        self._limit_seconds = seconds
        self._waited_seconds = 0.0
        self._loop = asyncio.get_running_loop()
        self._scope = asyncio.timeout(None)
        self._timer: asyncio.TimerHandle | None = None
        self._looked_at = 0.0

    @property
    def waited_seconds(self) -> float:
        """So far, or in all once it is over."""
        if self._timer is None:
            return self._waited_seconds
        return self._waited_seconds + min(self._loop.time() - self._looked_at, LATE_SECONDS)

    async def __aenter__(self) -> Self:
        await self._scope.__aenter__()
        self._set_timer()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._waited_seconds = self.waited_seconds
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        await self._scope.__aexit__(kind, error, traceback)

    def _set_timer(self) -> None:
        self._looked_at = self._loop.time()
        left = self._limit_seconds - self._waited_seconds
        self._timer = self._loop.call_later(SLICE_SECONDS if left <= 0 else min(left, SLICE_SECONDS), self._look)

    def _look(self) -> None:
        slept = self._loop.time() - self._looked_at > LATE_SECONDS
        self._waited_seconds = self.waited_seconds
        # A loop that is late each time is given up too, a few slices later.
        if self._waited_seconds < self._limit_seconds + (2 * LATE_SECONDS if slept else 0.0):
            self._set_timer()
            return
        self._timer = None
        self._scope.reschedule(self._loop.time())
