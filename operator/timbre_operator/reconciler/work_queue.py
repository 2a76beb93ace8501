"""Which key is worked on next?

A key waits at most once, and at most one worker has it: what happens to it meanwhile makes it wait again, and is seen by
the next turn as a whole.  No event is kept, because none is needed: a turn looks at what there is.
"""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import logging
import random
from collections.abc import Awaitable, Callable, Hashable
from typing import Final, Generic, TypeVar

from timbre_operator.errors import OperatorError
from timbre_operator.reconciler.backoff import SOON, Failures

K = TypeVar("K", bound=Hashable)

_TURN_SECONDS: Final = 60.0
"""A turn that takes longer is ended and tried again: about fifteen requests of ten seconds at most that all hang are no
turn any more."""

logger = logging.getLogger("timbre.queue")


class WorkQueue(Generic[K]):
    """Keys, and workers that give each of them a turn.

    ``turn`` does the work of one key and returns after how many seconds it wants another turn, or None.
    """

    def __init__(
        self,
        turn: Callable[[K], Awaitable[float | None]],
        *,
        workers: int = 4,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._turn = turn
        self._workers = workers
        self._failures: Failures[K] = Failures(chance)
        self._due: dict[K, float] = {}
        """Of each key that waits: from when on."""
        self._heap: list[tuple[float, int, K]] = []
        """The same in order, with entries that hold no more; the number keeps keys from being compared."""
        self._entries = 0
        self._running: dict[K, float] = {}
        self._again: dict[K, float] = {}
        """Of keys that have a turn now: when they want the next one."""
        self._changed = asyncio.Event()
        self._stopping = False

    def add(self, key: K, after_seconds: float = 0.0) -> None:
        """The key gets a turn then, or earlier if it waits for an earlier one already."""
        due = _now() + after_seconds
        if key in self._running:
            self._again[key] = min(due, self._again.get(key, due))
        elif due < self._due.get(key, float("inf")):
            self._due[key] = due
            self._entries += 1
            heapq.heappush(self._heap, (due, self._entries, key))
            self._changed.set()

    def depth(self) -> int:
        """Keys that are due and wait."""
        now = _now()
        return sum(due <= now for due in self._due.values())

    def oldest_seconds(self) -> float:
        """How long the key that is due for longest waits, or has its turn; 0 without one."""
        now = _now()
        return max(
            (now - since for since in (*self._due.values(), *self._running.values()) if since <= now), default=0.0
        )

    async def run(self) -> None:
        """Works until it is cancelled, or until ``stop``."""
        async with asyncio.TaskGroup() as group:
            for _ in range(self._workers):
                group.create_task(self._work())

    def stop(self) -> None:
        """Lets running turns end and begins no other one; ``run`` returns then."""
        self._stopping = True
        self._changed.set()

    async def _work(self) -> None:
        while (key := await self._next()) is not None:
            self._running[key] = _now()
            try:
                await self._one(key)
            finally:
                del self._running[key]
                if (due := self._again.pop(key, None)) is not None:
                    self.add(key, max(0.0, due - _now()))

    async def _next(self) -> K | None:
        while not self._stopping:
            while self._heap and self._due.get(self._heap[0][2]) != self._heap[0][0]:
                heapq.heappop(self._heap)  # an entry that holds no more
            wait = self._heap[0][0] - _now() if self._heap else None
            if wait is not None and wait <= 0:
                key = heapq.heappop(self._heap)[2]
                del self._due[key]
                return key
            self._changed.clear()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(wait):
                    await self._changed.wait()
        return None

    async def _one(self, key: K) -> None:
        try:
            async with asyncio.timeout(_TURN_SECONDS):
                again = await self._turn(key)
        except (OperatorError, TimeoutError) as error:
            wait = self._failures.failed(key, SOON)
            logger.warning(
                "a turn failed", extra={"fields": {"key": str(key), "error": _said(error), "again_in": wait}}
            )
            self._again_in(key, wait)
        except Exception:  # a mistake of ours in one service must not stop the others
            wait = self._failures.failed(key, SOON)
            logger.exception("a turn broke", extra={"fields": {"key": str(key), "again_in": wait}})
            self._again_in(key, wait)
        else:
            self._failures.forget(key)
            if again is not None:
                self._again_in(key, again)

    def _again_in(self, key: K, seconds: float) -> None:
        due = _now() + seconds
        self._again[key] = min(due, self._again.get(key, due))


def _now() -> float:
    return asyncio.get_running_loop().time()


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
