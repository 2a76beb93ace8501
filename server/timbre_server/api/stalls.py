"""When has a client stopped taking its answer, although it is still there?"""

from __future__ import annotations

import asyncio

from starlette.requests import ClientDisconnect
from starlette.types import Message, Send


class StallWatch:
    """Gives a request up whose client takes nothing of its answer for too long.

    One timer for all messages of an answer, which looks at the clock when it fires: a timeout around each message would be
    half of what a hit from memory costs.
    """

    def __init__(self, limit_seconds: float) -> None:
        self._limit_seconds = limit_seconds
        self._loop = asyncio.get_running_loop()
        self._timer: asyncio.TimerHandle | None = None
        self._sending: asyncio.Task[object] | None = None
        self._since = 0.0
        self._stalled = False

    async def send(self, send: Send, message: Message) -> None:
        """Sends one message.  Raises: ClientDisconnect: the client takes nothing any more."""
        self._since = self._loop.time()
        self._sending = asyncio.current_task()
        if self._timer is None:
            self._timer = self._loop.call_later(self._limit_seconds, self._look)
        try:
            await send(message)
        except asyncio.CancelledError:
            if not self._stalled or (self._sending is not None and self._sending.uncancel() > 0):
                raise  # it was not ours, or not only ours
            raise ClientDisconnect from None
        finally:
            self._sending = None

    def close(self) -> None:
        """The answer is over.  Idempotent."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _look(self) -> None:
        if self._sending is None:
            self._timer = None  # the next message sets it anew
            return
        left_seconds = self._since + self._limit_seconds - self._loop.time()
        if left_seconds > 0:
            self._timer = self._loop.call_later(left_seconds, self._look)
        else:
            self._stalled = True
            self._sending.cancel()
