"""What can be answered while the engine is still loading?  What was said before, and what another pod says meanwhile."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Final

from timbre_server.errors import NotReady
from timbre_server.ports import Take
from timbre_server.service.lifecycle import Lifecycle

LOOK_SECONDS: Final = 0.5
"""How often a waiting request looks whether another pod has said it: a look takes 0.1 ms of Redis, and engines load for
seconds."""


class ColdStart:
    """Requests that came before the engine was loaded; lives on one event loop."""

    def __init__(self, lifecycle: Lifecycle, *, wait_seconds: float) -> None:
        """A request waits so long for the engine."""
        self._lifecycle = lifecycle
        self._wait_seconds = wait_seconds

    @property
    def is_over(self) -> bool:
        """Whether the engine is loaded."""
        return self._lifecycle.engine_loaded

    async def outlasted(self, find: Callable[[], Awaitable[Take | None]]) -> Take | None:
        """What ``find`` finds before the engine is loaded, else None as soon as it is.

        Raises:
            NotReady: neither came in time.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + self._wait_seconds
        while not self.is_over:
            left_seconds = give_up_at - loop.time()
            if left_seconds <= 0:
                raise NotReady(f"the server is not ready: {self._lifecycle.reason}", retry_after_seconds=1.0)
            try:
                async with asyncio.timeout(min(LOOK_SECONDS, left_seconds)):
                    await self._lifecycle.load()
            except TimeoutError:
                if take := await find():
                    return take
        return None
