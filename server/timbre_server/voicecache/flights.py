"""Who shares a look-up that is under way, and who still uses what it brought?

A flight is one look-up of one key for all who ask at once.  It goes on when callers leave; when all have left before the
engine began on it, it ends, because nobody pays for it.  What it brought is released when the last of them is done.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context
from dataclasses import dataclass

from timbre_server.domain.voice import Features
from timbre_server.ports import FoundFeatures


@dataclass(frozen=True, eq=False)
class Landing:
    """What a flight brought."""

    features: Features
    source: str
    release: Callable[[], None]
    """Ends the flight's own use of the memory behind the features."""


class Flight:
    """One look-up for all of its passengers; lives on the event loop."""

    def __init__(self, digest: str) -> None:
        self.digest = digest
        self.erased = False
        """Whether the recording was erased since: what the flight brings is kept nowhere and not published."""
        self.begun = False
        """Whether the engine has begun to extract: then it costs the same to go on, and who comes back finds the result."""
        self.deserted = False
        """Whether it was called off because everybody had left."""
        self.over = asyncio.Event()
        """Landed, and used by nobody any more."""
        self._passengers = 0
        self._landing: Landing | None = None
        self._task: asyncio.Task[Landing] | None = None

    def take_off(self, fly: Callable[[Flight], Awaitable[Landing]], name: str) -> None:
        """Starts the look-up.

        In a context of its own: it serves many requests, so it carries no one's id and spends no one's budget.
        """
        self._task = asyncio.create_task(self._fly(fly), name=name, context=Context())
        self._task.add_done_callback(self._landed)

    async def board(self) -> FoundFeatures:
        """What the flight brings, for one more passenger; raises what the look-up raises."""
        assert self._task is not None
        self._passengers += 1
        try:
            landing = await asyncio.shield(self._task)
        except BaseException:
            self._left()
            raise
        return FoundFeatures(landing.features, landing.source, _Once(self._left))

    def begin(self) -> None:
        """The engine has taken it up."""
        self.begun = True

    async def cancel(self) -> None:
        """Ends the look-up, and returns when it has ended."""
        assert self._task is not None
        self._task.cancel()
        await asyncio.wait({self._task})

    async def _fly(self, fly: Callable[[Flight], Awaitable[Landing]]) -> Landing:
        return await fly(self)

    def _landed(self, task: asyncio.Task[Landing]) -> None:
        # Asking for the exception is enough: every passenger may have left, and then it is nobody's, not the loop's.
        if not task.cancelled() and task.exception() is None:
            self._landing = task.result()
        self._end_if_unused()

    def _left(self) -> None:
        self._passengers -= 1
        assert self._task is not None
        if self._passengers == 0 and not self.begun and not self._task.done():
            self.deserted = True
            self._task.cancel()
        self._end_if_unused()

    def _end_if_unused(self) -> None:
        assert self._task is not None
        if self._passengers == 0 and self._task.done() and not self.over.is_set():
            self.over.set()
            if self._landing is not None:
                self._landing.release()


class _Once:
    """A call that counts once."""

    __slots__ = ("_call",)

    def __init__(self, call: Callable[[], None]) -> None:
        self._call: Callable[[], None] | None = call

    def __call__(self) -> None:
        call, self._call = self._call, None
        if call is not None:
            call()


class Flights:
    """All look-ups that are under way or whose result is in use; lives on the event loop."""

    def __init__(self) -> None:
        self._under_way: dict[str, Flight] = {}
        self._all: set[Flight] = set()

    async def join(self, key: str, digest: str, fly: Callable[[Flight], Awaitable[Landing]]) -> FoundFeatures:
        """A seat in the flight for that key, which is started if there is none."""
        flight = self._under_way.get(key)
        if flight is None or flight.deserted:
            flight = self._under_way[key] = self._new(digest)
            flight.take_off(self._until_landed(key, fly), f"features-{key[:8]}")
        return await flight.board()

    async def charter(self, digest: str, fly: Callable[[Flight], Awaitable[Landing]]) -> FoundFeatures:
        """A flight for one, from which nothing is kept."""
        flight = self._new(digest)
        flight.erased = True
        flight.take_off(fly, f"features-of-{digest[:8]}")
        return await flight.board()

    def erase(self, digest: str) -> None:
        """Those who fly for that recording still get its features, but nobody after them."""
        for key in [key for key, flight in self._under_way.items() if flight.digest == digest]:
            del self._under_way[key]
        for flight in self._all:
            if flight.digest == digest:
                flight.erased = True

    async def erased_over(self, digest: str) -> None:
        """Returns when no flight is left whose features of that recording were erased."""
        for flight in [flight for flight in self._all if flight.erased and flight.digest == digest]:
            await flight.over.wait()
            self._all.discard(flight)

    async def close(self) -> None:
        """Cancels all look-ups.  Idempotent."""
        for flight in list(self._all):
            await flight.cancel()
        self._under_way.clear()

    def _new(self, digest: str) -> Flight:
        self._all = {flight for flight in self._all if not flight.over.is_set()}
        flight = Flight(digest)
        self._all.add(flight)
        return flight

    def _until_landed(
        self, key: str, fly: Callable[[Flight], Awaitable[Landing]]
    ) -> Callable[[Flight], Awaitable[Landing]]:
        async def flying(flight: Flight) -> Landing:
            try:
                return await fly(flight)
            finally:
                if self._under_way.get(key) is flight:
                    del self._under_way[key]

        return flying
