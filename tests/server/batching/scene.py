"""A dispatcher before a stub engine in virtual time, and readers that note what they heard and when."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import numpy as np

from tests.server.batching.virtual_worker import VirtualWorker
from tests.server.engine.speech import an_utterance
from timbre_server.batching import BatchingDispatcher, Limits
from timbre_server.domain.pcm import Samples
from timbre_server.engine.stub import StubEngine
from timbre_server.errors import TimbreError
from timbre_server.ports import RowTimings, Utterance


@dataclass
class Heard:
    """What one reader got."""

    samples: Samples = field(default_factory=lambda: np.zeros(0, np.float32))
    times: list[float] = field(default_factory=list)
    """Loop time of each stretch of speech."""
    error: TimbreError | None = None
    timings: RowTimings = field(default_factory=RowTimings)

    @property
    def first_at(self) -> float:
        return self.times[0]


@dataclass
class Observed:
    """A ``BatchObserver`` that keeps what it was told."""

    batches: list[tuple[int, float]] = field(default_factory=list)
    relieves: bool = False
    """Whether it says that memory was freed."""

    def batch_done(self, size: int, *, busy_seconds: float) -> None:
        self.batches.append((size, round(busy_seconds, 6)))

    def out_of_memory(self) -> bool:
        return self.relieves


class Scene:
    """One engine, one dispatcher, any number of readers."""

    def __init__(self, engine: StubEngine, limits: Limits, max_pending_seconds: float) -> None:
        self.engine = engine
        self.worker = VirtualWorker(engine)
        self.observed = Observed()
        self.dispatcher = BatchingDispatcher(
            self.worker, limits=limits, max_pending_seconds=max_pending_seconds, observer=self.observed
        )
        self._readers: list[asyncio.Task[Heard]] = []

    def row(self, *texts: str, voice: str = "alloy") -> list[Utterance]:
        return [an_utterance(self.engine, text, voice=voice) for text in texts]

    def request(self, *texts: str, voice: str = "alloy", after: float = 0.0) -> asyncio.Task[Heard]:
        """A reader of a row of sentences that comes ``after`` that many seconds."""
        reader = asyncio.ensure_future(self._read(self.row(*texts, voice=voice), after))
        self._readers.append(reader)
        return reader

    async def _read(self, row: list[Utterance], after: float) -> Heard:
        if after:
            await asyncio.sleep(after)
        heard = Heard()
        parts: list[Samples] = []
        try:
            cost = sum(self.engine.synthesis_cost_seconds(job.text, job.parameters) for job in row)
            permit = self.dispatcher.admit(cost)
            async for samples in self.dispatcher.speak(row, permit=permit, timings=heard.timings):
                parts.append(samples)
                heard.times.append(round(asyncio.get_running_loop().time(), 6))
        except TimbreError as error:
            heard.error = error
        heard.samples = np.concatenate([heard.samples, *parts])
        return heard

    async def heard(self) -> list[Heard]:
        """What all readers got, in the order in which they were requested."""
        return await asyncio.gather(*self._readers)

    def alone(self, *texts: str, voice: str = "alloy") -> Samples:
        """What the engine says of these texts one by one."""
        said = StubEngine(sleep=lambda _seconds: None)
        row = self.row(*texts, voice=voice)
        return np.concatenate([piece.samples for job in row for piece in said.synthesize([job], lambda _index: False)])

    def batches(self, kind: str = "speech") -> list[tuple[str, ...]]:
        return [call.names for call in self.worker.calls if call.kind == kind]

    def times(self) -> list[float]:
        return [call.began_at for call in self.worker.calls]


@asynccontextmanager
async def a_scene(
    engine: StubEngine | None = None, *, limits: Limits | None = None, max_pending_seconds: float = 0.0
) -> AsyncIterator[Scene]:
    scene = Scene(engine or StubEngine(), limits or Limits(), max_pending_seconds)
    await scene.worker.start()
    await scene.dispatcher.start()
    try:
        yield scene
    finally:
        await scene.dispatcher.stop()
        await scene.worker.stop()
