"""Who shares a look-up or a synthesis that is under way, and what happens to it when they leave?

A flight is one look-up of one key for all who ask at once, and the synthesis where it finds nothing.  It goes on when
somebody leaves, and ends when nobody is left, here or on other pods.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextvars import Context

from timbre_server.errors import EngineStopped, TimbreError
from timbre_server.ports import ResultName
from timbre_server.resultcache.performance import Performance
from timbre_server.resultcache.takes import Found
from timbre_server.telemetry.log import get_logger

_log = get_logger("resultcache.flights")


Landing = Found | Performance
"""What a flight brings its listeners: finished speech, or speech that has begun."""


class Flight:
    """One look-up or synthesis for all of its listeners; lives on the event loop."""

    def __init__(self, name: ResultName, *, keeps: bool = True) -> None:
        self.name = name
        self.keeps = keeps
        """Whether what it brings may be heard again: not if the voice was erased since, or is not the one of the name."""
        self.deserted = False
        """Whether it was called off because everybody had left."""
        self.awaited: Callable[[], Awaitable[bool]] | None = None
        """Asks whether other pods wait for it; None while none can."""
        self.over = asyncio.Event()
        """Ended, and heard by nobody any more."""
        self._listeners = 0
        loop = asyncio.get_running_loop()
        self._landed: asyncio.Future[Landing] = loop.create_future()
        self._landed.add_done_callback(_seen)
        self._task: asyncio.Task[None] | None = None
        self._leaving: asyncio.Task[None] | None = None

    def take_off(self, fly: Callable[[Flight], Awaitable[None]]) -> None:
        """Starts; ``fly`` lands it.

        In a context of its own: it serves many requests, so it carries no one's id and spends no one's budget.
        """
        self._task = asyncio.create_task(_flown(fly, self), name=f"result-{self.name.key[:8]}", context=Context())
        self._task.add_done_callback(self._ended)

    async def board(self) -> Landing:
        """What the flight brings, for one more listener, who calls ``leave`` when done; raises what the flight raises."""
        self._listeners += 1
        try:
            return await asyncio.shield(self._landed)
        except BaseException:
            self.leave()
            raise

    def land(self, landing: Landing) -> None:
        """Brings it to all who wait, and to all who come as long as the flight can be joined."""
        self._landed.set_result(landing)

    def leave(self) -> None:
        """One listener less."""
        self._listeners -= 1
        assert self._task is not None
        if self._listeners == 0 and not self._task.done():
            if self.awaited is None:
                self._call_off()
            else:
                self._leaving = asyncio.create_task(self._leave_to_others(self.awaited), context=Context())
        self._note_end()

    async def cancel(self) -> None:
        """Ends it, whoever listens, and returns when it has ended."""
        tasks = {task for task in (self._task, self._leaving) if task is not None}
        for task in tasks:
            task.cancel()
        await asyncio.wait(tasks)

    def _ended(self, task: asyncio.Task[None]) -> None:
        error = EngineStopped("the server is stopping") if task.cancelled() else task.exception()
        if error is not None:
            if not isinstance(error, TimbreError):
                _log.error("a flight crashed", exc_info=error)
            self._crash(error)
        self._note_end()

    def _crash(self, error: BaseException) -> None:
        """Tells all who listen."""
        if not self._landed.done():
            self._landed.set_exception(error)
        elif not self._landed.exception() and isinstance(landing := self._landed.result(), Performance):
            landing.fail(error)

    async def _leave_to_others(self, awaited: Callable[[], Awaitable[bool]]) -> None:
        if not await awaited() and self._listeners == 0:
            self._call_off()

    def _call_off(self) -> None:
        self.deserted = True
        assert self._task is not None
        self._task.cancel()

    def _note_end(self) -> None:
        assert self._task is not None
        if self._listeners == 0 and self._task.done():
            self.over.set()


async def _flown(fly: Callable[[Flight], Awaitable[None]], flight: Flight) -> None:
    await fly(flight)


def _seen(landed: asyncio.Future[Landing]) -> None:
    """Asking for the exception is enough: every listener may have left, and then it is nobody's, not the loop's."""
    landed.exception()


class Flights:
    """All flights that are under way or heard; lives on the event loop."""

    def __init__(self) -> None:
        self._joinable: dict[str, Flight] = {}
        self._all: set[Flight] = set()

    def joinable(self, key: str) -> Flight | None:
        """The flight for that key, if there is one to join."""
        flight = self._joinable.get(key)
        return None if flight is None or flight.deserted else flight

    def start(self, flight: Flight, fly: Callable[[Flight], Awaitable[None]], *, joinable: bool) -> None:
        """Takes off; ``joinable``: others may board until it has ended, or is closed or erased."""

        async def flying(flight: Flight) -> None:
            try:
                await fly(flight)
            finally:
                self.close_to_others(flight)

        self._all = {other for other in self._all if not other.over.is_set()}
        self._all.add(flight)
        if joinable:
            self._joinable[flight.name.key] = flight
        flight.take_off(flying)

    def close_to_others(self, flight: Flight) -> None:
        """Nobody boards it from now on."""
        if self._joinable.get(flight.name.key) is flight:
            del self._joinable[flight.name.key]

    def erase(self, digest: str) -> None:
        """Those who listen to that recording hear it to its end, but nobody after them."""
        for flight in self._all:
            if flight.name.digest == digest:
                flight.keeps = False
                self.close_to_others(flight)

    async def erased_over(self, digest: str) -> None:
        """Returns when nobody listens any more to flights of that recording that were erased."""
        for flight in [one for one in self._all if not one.keeps and one.name.digest == digest]:
            await flight.over.wait()

    async def close(self) -> None:
        """Cancels all that are under way.  Idempotent."""
        for flight in list(self._all):
            await flight.cancel()
        self._joinable.clear()
