"""What a reader of speech holds: the iterator that ``Dispatcher.speak`` returns."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable
from typing import Self

from timbre_server.batching.rows import Row
from timbre_server.domain.pcm import Samples


class SpeechStream(AsyncIterator[Samples]):
    """The speech of a row, in order.

    The row is given up when the stream ends, fails, is closed, is cancelled while it waits, or is garbage, read
    or not: an async generator that was never started could not promise the last.
    """

    def __init__(self, row: Row, changed: Callable[[Row], None]) -> None:
        self._row = row
        self._changed = changed
        """Told on the loop after the reader has taken something or has left."""
        self._loop = asyncio.get_running_loop()
        self._closed = False

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Samples:
        if self._closed:
            raise StopAsyncIteration
        try:
            samples = await self._row.next_samples()
        except BaseException:
            self._close()
            raise
        if samples is None:
            self._close()
            raise StopAsyncIteration
        self._changed(self._row)
        return samples

    async def aclose(self) -> None:
        """Gives the rest up."""
        self._close()

    def _close(self) -> None:
        if not self._closed:
            self._closed = True
            _give_up(self._row, self._changed)

    def __del__(self) -> None:
        """Garbage is collected by whichever thread comes along; but for one word, the row belongs to the loop."""
        if not self._closed:
            self._row.abandoned_from = 0
            with contextlib.suppress(RuntimeError):  # the loop has closed, and the dispatcher with it
                self._loop.call_soon_threadsafe(_give_up, self._row, self._changed)


def _give_up(row: Row, changed: Callable[[Row], None]) -> None:
    row.leave()
    changed(row)
