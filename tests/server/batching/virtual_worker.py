"""The stub engine behind ``EngineWorker`` without a thread: its time is the virtual time of the loop."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass

from timbre_server.domain.voice import Features, Reference
from timbre_server.engine.stub import StubEngine
from timbre_server.errors import EngineError, EngineStopped, TimbreError
from timbre_server.ports import EngineDescriptor, Piece, Utterance


@dataclass(frozen=True)
class Call:
    """One call of the engine, as it happened."""

    began_at: float
    kind: str
    """``speech`` or ``voices``."""
    names: tuple[str, ...]
    """The texts of the jobs, or the digests of the references."""


class VirtualWorker:
    """Passes the same tests of contract as ``ThreadEngineWorker``; ``calls`` says what ran when."""

    def __init__(self, engine: StubEngine) -> None:
        self.engine = engine
        self.calls: list[Call] = []
        self._owed_seconds = 0.0
        self._one_at_a_time = asyncio.Lock()
        self._ended = False
        engine.sleep = self._owe

    @property
    def descriptor(self) -> EngineDescriptor:
        return self.engine.descriptor

    async def start(self) -> None:
        self.engine.load()
        await self._pay()

    async def encode(self, references: Sequence[Reference]) -> Sequence[Features]:
        async with self._one_at_a_time:
            self._note("voices", [reference.digest for reference in references])
            try:
                return self.engine.encode(references)
            except BaseException as error:
                raise self._ours(error) from error
            finally:
                await self._pay()

    async def synthesize(self, batch: Sequence[Utterance], cancelled: Callable[[int], bool]) -> AsyncIterator[Piece]:
        async with self._one_at_a_time:
            self._note("speech", [job.text for job in batch])
            pieces = self.engine.synthesize(batch, cancelled)
            while True:
                try:
                    piece = next(pieces, None)
                except BaseException as error:
                    raise self._ours(error) from error
                await self._pay()
                if piece is None:
                    return
                yield piece

    def health(self) -> str | None:
        return "the engine's thread has ended" if self._ended else self.engine.health()

    async def stop(self) -> None:
        self._ended = True

    def _note(self, kind: str, names: Sequence[str]) -> None:
        if self._ended:
            raise EngineStopped("the engine has stopped")
        self.calls.append(Call(round(asyncio.get_running_loop().time(), 6), kind, tuple(names)))

    def _ours(self, error: BaseException) -> TimbreError:
        if isinstance(error, TimbreError):
            return error
        if isinstance(error, SystemExit):
            self._ended = True
            return EngineStopped("the engine's thread has ended")
        return EngineError("the engine failed")

    def _owe(self, seconds: float) -> None:
        self._owed_seconds += seconds

    async def _pay(self) -> None:
        seconds, self._owed_seconds = self._owed_seconds, 0.0
        if seconds:
            await asyncio.sleep(seconds)
