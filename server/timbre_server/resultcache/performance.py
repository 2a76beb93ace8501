"""How do many hear one speech while it is made, each from its beginning and at its own pace?"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from typing import Final

from timbre_server.audio.container_encoder import check_samples
from timbre_server.audio.quantisation import Int16Samples, from_int16, to_int16
from timbre_server.domain.pcm import Samples
from timbre_server.ports import Making
from timbre_server.resultcache.takes import BYTES_PER_SAMPLE, Label, new_take_id, wav_from

MAX_AHEAD_SECONDS: Final = 60.0
"""Of speech that is too long to keep: how far it may be ahead of its quickest listener, 2.9 MB at 24 kHz."""


def _nothing() -> None:
    pass


class Performance:
    """Speech that is being made, its first samples there; lives on the event loop.

    All of it is held, so that whoever joins hears it from the beginning, until it is longer than what may be kept.  From
    then on nobody joins, what all have heard is dropped, and it is made only so far ahead of who listens.
    """

    def __init__(
        self,
        making: Making,
        *,
        limit_bytes: int,
        clock: Callable[[], float] = time.time,
        too_long: Callable[[], None] = _nothing,
    ) -> None:
        """``clock`` gives Unix time in seconds; ``too_long`` is called once, if more than ``limit_bytes`` have come."""
        self.label = Label(new_take_id(), clock(), making.sample_rate_hz)
        self.making = making
        self.is_too_long = False
        self.ended = False
        self._limit_bytes = limit_bytes
        self._tell_too_long = too_long
        self._error: BaseException | None = None
        self._pieces: list[Int16Samples] = []
        self._dropped = 0
        """How many pieces stood before the first of ``_pieces``."""
        self._samples = 0
        self._seats: set[Seat] = set()
        self._news = asyncio.Event()
        self._heard = asyncio.Event()

    def seat(self) -> Seat:
        """A place from which all of it is heard."""
        assert self._dropped == 0, "its beginning is gone"
        seat = Seat(self)
        self._seats.add(seat)
        return seat

    async def record(self) -> bytes | None:
        """Makes all of it and returns the WAV file that may be kept of it; None if it is too long for that.

        Raises: what the making raises, and so do all seats.
        """
        try:
            async with aclosing(self.making.samples()) as pieces:
                async for piece in pieces:
                    self._add(piece)
                    await self._let_catch_up()
        except BaseException as error:
            self.fail(error)
            raise
        self.ended = True
        self._tell()
        return None if self.is_too_long else wav_from(self._pieces, self.label.sample_rate_hz)

    def fail(self, error: BaseException) -> None:
        """There will be no more of it."""
        self._error = self._error or error
        self._tell()

    def _add(self, piece: Samples) -> None:
        check_samples(piece)
        self._pieces.append(to_int16(piece))
        self._samples += piece.size
        self._tell()
        if not self.is_too_long and self._samples * BYTES_PER_SAMPLE > self._limit_bytes:
            self.is_too_long = True
            self._tell_too_long()

    async def _let_catch_up(self) -> None:
        while self.is_too_long:
            self._drop_heard()
            ahead = self._samples - max((seat.samples for seat in self._seats), default=0)
            if ahead <= MAX_AHEAD_SECONDS * self.label.sample_rate_hz:
                return
            self._heard.clear()
            await self._heard.wait()

    def _drop_heard(self) -> None:
        heard = min((seat.position for seat in self._seats), default=self._dropped) - self._dropped
        del self._pieces[:heard]
        self._dropped += heard

    def _tell(self) -> None:
        self._news.set()
        self._news.clear()

    async def _next(self, seat: Seat) -> Samples | None:
        while True:
            place = seat.position - self._dropped
            if place < len(self._pieces):
                piece = self._pieces[place]
                seat.position += 1
                seat.samples += piece.size
                self._heard.set()
                return from_int16(piece)
            if self._error is not None:
                raise self._error
            if self.ended:
                return None
            await self._news.wait()

    def _leave(self, seat: Seat) -> None:
        self._seats.discard(seat)
        self._heard.set()


class Seat:
    """One listener's place in a performance."""

    __slots__ = ("_performance", "position", "samples")

    def __init__(self, performance: Performance) -> None:
        self._performance = performance
        self.position = 0
        """Pieces heard so far."""
        self.samples = 0
        """Samples heard so far."""

    async def hear(self) -> AsyncGenerator[Samples, None]:
        """All of it, from the beginning, as it comes.  Raises: what the making raises."""
        while (piece := await self._performance._next(self)) is not None:  # noqa: SLF001 - a part of it
            yield piece

    def leave(self) -> None:
        """Listens no more.  Idempotent."""
        self._performance._leave(self)  # noqa: SLF001 - as above
