"""Do the other pods know that this one is ready, and is any of them while this one starts?"""

from __future__ import annotations

import asyncio
from typing import Protocol

from timbre_server.ending import end
from timbre_server.errors import Unavailable
from timbre_server.service.lifecycle import Lifecycle, State
from timbre_server.store.readiness import SAY_EVERY_SECONDS


class Readiness(Protocol):
    """What pods tell each other; each method raises ``StoreUnavailable``."""

    async def say(self) -> None: ...

    async def leave(self) -> None: ...

    async def others(self) -> int: ...


class Presence:
    """Tells and asks every second; lives on one event loop.

    A pod that starts alone is ready on its caches: what was said before is answered, and the rest waits for the engine
    instead of finding nobody.  Where another pod is ready it is better served there.
    """

    def __init__(self, lifecycle: Lifecycle, readiness: Readiness) -> None:
        self._lifecycle = lifecycle
        self._readiness = readiness
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Begins; what pods share can be reached by now."""
        self._lifecycle.caches_open = True
        self._task = asyncio.create_task(self._run(), name="presence")

    async def stop(self) -> None:
        """Idempotent."""
        if self._task is not None:
            await end([self._task])

    async def turn(self) -> None:
        """Tells, or asks, once."""
        lifecycle = self._lifecycle
        try:
            if lifecycle.closing:
                await self._readiness.leave()
            elif lifecycle.state is State.READY:
                await self._readiness.say()
            else:
                lifecycle.alone = await self._readiness.others() == 0
        except Unavailable:
            lifecycle.alone = False  # nobody knows, and without what pods share there is nothing to answer with

    async def _run(self) -> None:
        while True:
            await self.turn()
            await asyncio.sleep(SAY_EVERY_SECONDS)
