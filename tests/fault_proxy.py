"""A TCP proxy between a server and its Redis that fails on command: what real networks do, at a chosen moment.

It has a thread and an event loop of its own, so that it serves tests that wait and servers in other processes alike.
"""

from __future__ import annotations

import asyncio
import socket
import struct
import threading
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self, TypeVar

from examples.local_redis import free_port
from tests import listeners

T = TypeVar("T")


@dataclass(frozen=True)
class Fault:
    """How the proxy behaves; the default is to do its work."""

    refuse: bool = False
    """Nobody listens: connections end, and new ones are refused."""
    black_hole: bool = False
    """Connections are accepted and kept, and nothing arrives until the fault has ended."""
    reset: bool = False
    """Each connection is reset (RST) as soon as something arrives on it."""
    delay_seconds: float = 0.0
    """Each piece of a reply arrives so much later."""
    cut_after_bytes: int | None = None
    """Of the replies of each connection, only so many more bytes arrive; then it ends, in the middle of whatever it was."""


PASS = Fault()
REFUSE = Fault(refuse=True)
BLACK_HOLE = Fault(black_hole=True)
RESET = Fault(reset=True)


def slow(seconds: float) -> Fault:
    """Replies come so much later."""
    return Fault(delay_seconds=seconds)


def cut_after(size_bytes: int) -> Fault:
    """Replies break off."""
    return Fault(cut_after_bytes=size_bytes)


class FaultProxy:
    """Use as a context manager; listens on ``port`` of 127.0.0.1 and forwards to ``target_port``."""

    def __init__(self, target_port: int) -> None:
        self.target_port = target_port
        self.port = free_port()
        self.connections = 0
        """How many were accepted so far."""
        self._fault = PASS
        self._flowing = asyncio.Event()
        self._flowing.set()
        self._server: asyncio.Server | None = None
        self._open: set[asyncio.Task[None]] = set()

    @property
    def url(self) -> str:
        """What a server is told instead of Redis' own address."""
        return f"redis://127.0.0.1:{self.port}/0"

    def __enter__(self) -> Self:
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="fault-proxy", daemon=True)
        self._thread.start()
        self._on_loop(self._listen)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._on_loop(self._end)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def become(self, fault: Fault) -> None:
        """Behaves so from now on, with open connections too; in force when this returns."""
        self._on_loop(lambda: self._become(fault))

    def drop_connections(self) -> None:
        """Ends what is open now; what comes next is served as before."""
        self._on_loop(self._drop)

    def _on_loop(self, act: Callable[[], Coroutine[Any, Any, T]]) -> T:
        return asyncio.run_coroutine_threadsafe(act(), self._loop).result(timeout=10)

    async def _listen(self) -> None:
        self._server = await asyncio.start_server(self._accepted, "127.0.0.1", self.port)

    async def _end(self) -> None:
        if self._server is not None:
            server, self._server = self._server, None
            await listeners.end(server)
        await self._drop()

    async def _become(self, fault: Fault) -> None:
        self._fault = fault
        if fault.black_hole:
            self._flowing.clear()
        else:
            self._flowing.set()
        if fault.refuse:
            await self._end()
        elif self._server is None:
            await self._listen()

    async def _drop(self) -> None:
        for task in self._open:
            task.cancel()
        await asyncio.gather(*self._open, return_exceptions=True)

    def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        task = self._loop.create_task(self._serve(reader, writer))
        self._open.add(task)
        # Not in the task: one that is ended before its first step would leave its connection open.
        task.add_done_callback(self._open.discard)
        task.add_done_callback(lambda _: writer.close())

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            from_redis, to_redis = await asyncio.open_connection("127.0.0.1", self.target_port)
        except ConnectionError:
            return
        late: asyncio.Queue[tuple[float, bytes]] = asyncio.Queue()
        works = [
            asyncio.create_task(work)
            for work in (self._there(reader, writer, to_redis), self._back(from_redis, late), self._late(late, writer))
        ]
        try:
            await asyncio.wait(works, return_when=asyncio.FIRST_COMPLETED)
        finally:
            to_redis.close()  # before the wait below, which whoever drops this connection may cut short
            for work in works:
                work.cancel()
            await asyncio.gather(*works, return_exceptions=True)

    async def _there(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, to_redis: asyncio.StreamWriter
    ) -> None:
        while data := await reader.read(1 << 16):
            if self._fault.reset:
                # With a linger of zero seconds a close is a reset.
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
                writer.transport.abort()
                return
            await self._flowing.wait()
            to_redis.write(data)
            await to_redis.drain()

    async def _back(self, from_redis: asyncio.StreamReader, late: asyncio.Queue[tuple[float, bytes]]) -> None:
        while data := await from_redis.read(1 << 16):
            late.put_nowait((self._loop.time() + self._fault.delay_seconds, data))
        late.put_nowait((0.0, b""))
        await asyncio.Event().wait()  # what was said before the end still arrives

    async def _late(self, late: asyncio.Queue[tuple[float, bytes]], writer: asyncio.StreamWriter) -> None:
        fault, left = PASS, 0
        while True:
            due, data = await late.get()
            await asyncio.sleep(due - self._loop.time())
            await self._flowing.wait()
            if fault is not self._fault:
                fault, left = self._fault, self._fault.cut_after_bytes or 0
            piece = data if fault.cut_after_bytes is None else data[:left]
            writer.write(piece)
            await writer.drain()
            left -= len(piece)
            if not data or len(piece) < len(data):
                return
