"""Dispatcher and engine thread together, in real time: does everything end, whatever the readers do?"""

from __future__ import annotations

import asyncio
import random

import numpy as np

from tests.server.engine.speech import a_reference, an_utterance, nobody_left
from timbre_server.batching import BatchingDispatcher
from timbre_server.engine.stub import StubEngine
from timbre_server.engine.worker import ThreadEngineWorker
from timbre_server.errors import EngineError


def a_fast_stub() -> StubEngine:
    return StubEngine(
        fixed_seconds=0.0, per_job_seconds=0.0, encode_fixed_seconds=0.0, pieces=5, sleep=lambda _seconds: None
    )


async def test_a_crowd_that_reads_leaves_and_fails_gets_what_it_should() -> None:
    chance = random.Random(7)
    engine = a_fast_stub()
    worker = ThreadEngineWorker(engine)
    dispatcher = BatchingDispatcher(worker)

    async def reader(number: int) -> None:
        texts = [f"Sentence {index} of reader {number}." for index in range(chance.randint(1, 6))]
        if number % 7 == 0:
            texts[-1] = "[fail-late]"
        row = [an_utterance(engine, text, voice=chance.choice(["alloy", "echo", "nova"])) for text in texts]
        stream = dispatcher.speak(row, permit=dispatcher.admit(1.0))
        parts = []
        try:
            async for samples in stream:
                parts.append(samples)
                if number % 5 == 0:
                    await stream.aclose()
                    return
        except EngineError:
            assert number % 7 == 0
            return
        expected = [piece.samples for job in row for piece in a_fast_stub().synthesize([job], nobody_left)]
        assert np.array_equal(np.concatenate(parts), np.concatenate(expected))

    async with asyncio.timeout(30.0):
        await worker.start()
        await dispatcher.start()
        extractions = [dispatcher.extract(a_reference(hertz=100.0 + number)) for number in range(6)]
        await asyncio.gather(*(reader(number) for number in range(100)), *extractions)
        await dispatcher.drained()
        assert dispatcher.pending_requests == 0
        assert dispatcher.pending_work_seconds == 0.0
        await dispatcher.stop()
        await worker.stop()


async def test_stopping_in_the_middle_of_a_batch_leaves_nobody_waiting() -> None:
    engine = a_fast_stub()
    worker = ThreadEngineWorker(engine)
    dispatcher = BatchingDispatcher(worker)

    async def reader(number: int) -> bool:
        row = [an_utterance(engine, f"Sentence {index} of {number}.") for index in range(50)]
        try:
            async for _ in dispatcher.speak(row, permit=dispatcher.admit(1.0)):
                pass
        except EngineError:
            return True
        return False

    async with asyncio.timeout(30.0):
        await worker.start()
        await dispatcher.start()
        readers = [asyncio.ensure_future(reader(number)) for number in range(20)]
        while not engine.batches:  # noqa: ASYNC110 - the engine's thread has no event to wait for
            await asyncio.sleep(0)
        await dispatcher.stop()
        await worker.stop()

        assert all(await asyncio.gather(*readers))
