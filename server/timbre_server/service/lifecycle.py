"""The life of a server process: does it take requests, is it ready, and is its work done?

``starting -> warming -> ready -> draining -> stopped``.  While draining, requests are still served for as long
as endpoints may send them, with ``Connection: close``; then they are refused.  What was begun is finished.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager
from enum import StrEnum

from timbre_server.errors import Draining, NotReady


class State(StrEnum):
    """Where in its life a server is."""

    STARTING = "starting"
    WARMING = "warming"
    READY = "ready"
    DRAINING = "draining"
    STOPPED = "stopped"


class Lifecycle:
    """The state of one server and the count of its unfinished requests; lives on the event loop."""

    def __init__(self) -> None:
        self.state = State.STARTING
        self.reason = "the engine is loading"
        self.in_flight = 0
        self.refusing = False
        """Whether new requests are turned away."""
        self.caches_open = False
        """Whether what was said before can be answered, although the engine is still loading."""
        self.alone = False
        """Whether no other pod is ready: then this one is, as soon as its caches are open."""
        self._loaded = asyncio.Event()
        self._idle = asyncio.Event()
        self._idle.set()

    @property
    def ready(self) -> bool:
        """Whether a load balancer should send requests here."""
        on_caches = self.caches_open and self.alone and self.state in {State.STARTING, State.WARMING}
        return self.state is State.READY or on_caches

    @property
    def engine_loaded(self) -> bool:
        """Whether requests can be served that need the engine."""
        return self._loaded.is_set()

    @property
    def closing(self) -> bool:
        """Whether responses should ask the client to close its connection."""
        return self.state in {State.DRAINING, State.STOPPED}

    def warm(self, reason: str) -> None:
        """Starting is over, warming begins; a drain that has begun is not undone."""
        self._loaded.set()
        if not self.closing:
            self.state, self.reason = State.WARMING, reason

    def warming(self, reason: str) -> None:
        """How far the warming is; a drain that has begun keeps its own reason."""
        if self.state is State.WARMING:
            self.reason = reason

    def become_ready(self) -> None:
        """Requests are served from now on; a drain that has begun is not undone."""
        if not self.closing:
            self.state, self.reason = State.READY, ""

    def drain(self) -> None:
        """Not ready at once; requests are still served until ``refuse``.  Idempotent."""
        if not self.closing:
            self.state, self.reason = State.DRAINING, "the server is draining"

    def refuse(self) -> None:
        """From now on new requests are refused."""
        self.drain()
        self.refusing = True

    def stop(self) -> None:
        """Nothing runs any more."""
        self.refuse()
        self.state, self.reason = State.STOPPED, "the server has stopped"

    async def load(self) -> None:
        """Returns when the engine is loaded."""
        await self._loaded.wait()

    def check_accepting(self, *, caches_may_do: bool = False) -> None:
        """Lets a new request pass, also while the engine is loading if it is one that caches may answer.

        Raises:
            NotReady: the engine is not loaded yet.
            Draining: the server is leaving.
        """
        if self.refusing:
            raise Draining("the server is shutting down; send the request again and another one will take it")
        if self.state in {State.STARTING, State.WARMING} and not (caches_may_do and self.caches_open):
            raise NotReady(f"the server is not ready: {self.reason}", retry_after_seconds=1.0)

    @contextmanager
    def request(self) -> Iterator[None]:
        """Counts a request as in flight for as long as the block runs, its streamed response included."""
        self.in_flight += 1
        self._idle.clear()
        try:
            yield
        finally:
            self.in_flight -= 1
            if self.in_flight == 0:
                self._idle.set()

    async def idle(self) -> None:
        """Returns when no request is in flight."""
        await self._idle.wait()
