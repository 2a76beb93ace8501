"""Which thread calls the engine, and how do its pieces reach the event loop?

One thread owns the engine and runs one call after another.  A call is an iterator that the thread drains and
the loop reads; what the thread makes hops over with ``call_soon_threadsafe``.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import threading
import traceback
from collections import deque
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Sequence
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from timbre_server.domain.voice import Features, Reference
from timbre_server.errors import EngineError, EngineOutOfMemory, EngineStopped, TimbreError
from timbre_server.ports import Engine, EngineDescriptor, Piece, Utterance

_log = logging.getLogger(__name__)

T = TypeVar("T")


class ThreadEngineWorker:
    """``EngineWorker`` with a thread of its own.

    A ``SystemExit`` ends the thread, as Python means it; whatever else an engine raises reaches the caller as
    a ``TimbreError`` and the thread lives on.  When the thread has ended, every call gets ``EngineStopped``.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._descriptor = engine.descriptor
        self._calls: SimpleQueue[_Call[Any] | None] = SimpleQueue()
        self._door = threading.Lock()
        """Held while a call is queued and while the thread leaves, so that no call is queued behind its back."""
        self._stopping = False
        self._ended = False
        self._thread = threading.Thread(target=self._own_engine, name="timbre-engine", daemon=True)

    @property
    def descriptor(self) -> EngineDescriptor:
        return self._descriptor

    @property
    def engine(self) -> Engine:
        return self._engine

    async def start(self) -> None:
        self._thread.start()
        await self._result(self._load)

    async def encode(self, references: Sequence[Reference]) -> Sequence[Features]:
        return await self._result(lambda: self._engine.encode(references))

    async def synthesize(self, batch: Sequence[Utterance], cancelled: Callable[[int], bool]) -> AsyncIterator[Piece]:
        call: _Call[Piece] = _Call(
            lambda: self._engine.synthesize(batch, lambda index: call.abandoned or cancelled(index)),
            asyncio.get_running_loop(),
            streams=self._descriptor.streams,
        )
        self._submit(call)
        try:
            while (piece := await call.next_item()) is not None:
                yield piece
        finally:
            await call.abandon()

    def health(self) -> str | None:
        return "the engine's thread has ended" if self._ended else self._engine.health()

    async def stop(self) -> None:
        self._stopping = True
        self._calls.put(None)
        if self._thread.is_alive():
            await asyncio.get_running_loop().run_in_executor(None, self._thread.join)

    def _load(self) -> bool:
        self._engine.load()
        return True

    async def _result(self, function: Callable[[], T]) -> T:
        """What ``function`` returns (never None), called in the engine's thread."""
        call = _Call(lambda: [function()], asyncio.get_running_loop(), streams=False)
        self._submit(call)
        try:
            result = await call.next_item()
            assert result is not None
            return result
        finally:
            call.abandoned = True

    def _submit(self, call: _Call[Any]) -> None:
        with self._door:
            if self._ended or self._stopping:
                raise EngineStopped("the engine has stopped")
            self._calls.put(call)

    def _own_engine(self) -> None:
        """The thread's whole life."""
        try:
            while not self._stopping:
                self._run_next()
        except SystemExit:
            _log.critical("the engine ended its own thread")
        finally:
            self._leave()

    def _run_next(self) -> None:
        call = self._calls.get()
        if call is not None:
            call.run()

    def _leave(self) -> None:
        with self._door:
            self._ended = True
        while not self._calls.empty():
            call = self._calls.get()
            if call is not None:
                call.end(EngineStopped("the engine has stopped"))
        try:
            self._engine.close()
        except Exception:  # noqa: BLE001 - the engine worker's edge: nobody waits for this error
            _log.exception("the engine failed to close")


class _Call(Generic[T]):
    """One call of the engine on its way between the loop, which awaits it, and the thread, which runs it.

    If it ``streams``, each item hops to the loop as soon as it is made.  Otherwise all items come at the end
    anyhow and hop together: a hop for each would let the loop's readers compete with the engine for the
    interpreter just when the next batch should start (1.5 ms of 52 ms for 16 pieces).
    """

    def __init__(self, source: Callable[[], Iterable[T]], loop: asyncio.AbstractEventLoop, *, streams: bool) -> None:
        self._source = source
        self._loop = loop
        self._streams = streams
        self._held: list[T] = []
        """Items that wait in the thread for the end of the call."""
        self._arrived: deque[T] = deque()
        self._news = asyncio.Event()
        self._over = False
        self._error: TimbreError | None = None
        self.abandoned = False
        """Set by the loop when nobody reads any longer; the thread stops at its next piece."""

    def run(self) -> None:
        """Drains the source, in the engine's thread.  Raises: SystemExit, after the reader has been told."""
        error: TimbreError | None = None
        try:
            if not self.abandoned:
                self._drain(iter(self._source()))
        except SystemExit:
            error = EngineStopped("the engine's thread has ended")
            raise
        except BaseException as cause:  # noqa: BLE001 - an engine may raise anything, and its owner must live on
            error = _as_timbre_error(cause)
        finally:
            self.end(error)

    def _drain(self, source: Iterator[T]) -> None:
        with contextlib.ExitStack() as stack:
            close = getattr(source, "close", None)  # a generator has it, a plain iterator has not
            if close is not None:
                stack.callback(close)
            for item in source:
                if self._streams:
                    self._hop(self._arrive, item)
                else:
                    self._held.append(item)
                if self.abandoned:
                    return

    def end(self, error: TimbreError | None) -> None:
        """No item follows."""
        self._hop(self._finish, error, self._held)

    async def next_item(self) -> T | None:
        """What the source yields next; None after the last.  Raises: the error that ended it."""
        while not self._arrived and not self._over:
            self._news.clear()
            await self._news.wait()
        if self._arrived:
            return self._arrived.popleft()
        if self._error is not None:
            raise self._error
        return None

    async def abandon(self) -> None:
        """Makes the source end at its next item and waits until it has."""
        self.abandoned = True
        while not self._over:
            self._news.clear()
            await self._news.wait()

    def _hop(self, function: Callable[..., None], *arguments: object) -> None:
        with contextlib.suppress(RuntimeError):  # the loop has closed: nobody waits any longer
            self._loop.call_soon_threadsafe(function, *arguments)

    def _arrive(self, item: T) -> None:
        self._arrived.append(item)
        self._news.set()

    def _finish(self, error: TimbreError | None, held: Sequence[T]) -> None:
        if not self._over:
            self._over = True
            self._error = error
            self._arrived.extend(held)
        self._news.set()


def _as_timbre_error(cause: BaseException) -> TimbreError:
    """The error of ours for an exception of an engine.

    The locals of the engine's frames are dropped: a traceback would keep the tensors of a failed batch alive.
    """
    pinned: BaseException | None = cause
    while pinned is not None:
        traceback.clear_frames(pinned.__traceback__)
        pinned = pinned.__cause__ or pinned.__context__
    if isinstance(cause, TimbreError):
        return cause
    if isinstance(cause, MemoryError):
        error: TimbreError = EngineOutOfMemory("the engine ran out of memory")
    else:
        error = EngineError("the engine failed")
    error.__cause__ = cause
    return error
