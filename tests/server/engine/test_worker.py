"""Does the engine's thread deliver every piece and every error, and never leave anybody waiting?"""

from __future__ import annotations

import asyncio
import threading
import weakref
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import aclosing, asynccontextmanager

import numpy as np
import pytest

from tests.server.engine.speech import a_reference, an_utterance, nobody_left
from timbre_server.engine.stub import StubEngine
from timbre_server.engine.worker import ThreadEngineWorker
from timbre_server.errors import AudioTooShort, EngineError, EngineOutOfMemory, EngineStopped
from timbre_server.ports import EngineWorker, Piece

PATIENCE_SECONDS = 10.0
"""A call that takes longer hangs."""


def an_engine(**options: float) -> StubEngine:
    return StubEngine(
        **{"fixed_seconds": 0, "per_job_seconds": 0, "encode_fixed_seconds": 0, "encode_per_reference_seconds": 0}
        | options
    )


@asynccontextmanager
async def started(engine: StubEngine) -> AsyncIterator[ThreadEngineWorker]:
    worker = ThreadEngineWorker(engine)
    async with asyncio.timeout(PATIENCE_SECONDS):
        await worker.start()
        try:
            yield worker
        finally:
            await worker.stop()


async def spoken(worker: EngineWorker, *texts: str) -> list[Piece]:
    batch = [an_utterance(worker.engine, text) for text in texts]
    async with aclosing(worker.synthesize(batch, nobody_left)) as pieces:
        return [piece async for piece in pieces]


async def test_every_piece_arrives_in_order() -> None:
    engine = an_engine(pieces=3)
    async with started(engine) as worker:
        pieces = await spoken(worker, "One.", "Two.")

    assert [(piece.index, piece.last) for piece in pieces] == [
        (0, False), (1, False), (0, False), (1, False), (0, True), (1, True),
    ]  # fmt: skip
    expected = [piece.samples for piece in engine.synthesize([an_utterance(engine, "One.")], nobody_left)]
    assert np.array_equal(
        np.concatenate([piece.samples for piece in pieces if piece.index == 0]), np.concatenate(expected)
    )


async def test_all_calls_run_on_one_thread_that_is_not_the_loops() -> None:
    threads: set[int] = set()
    engine = an_engine(load_seconds=1, fixed_seconds=1, encode_fixed_seconds=1)
    engine.sleep = lambda _seconds: threads.add(threading.get_ident())
    async with started(engine) as worker:
        await worker.encode([a_reference()])
        await spoken(worker, "Hello.")

    assert len(threads) == 1
    assert threads != {threading.get_ident()}


async def test_a_piece_arrives_before_the_next_is_made() -> None:
    may_go_on = threading.Event()
    waits = iter([lambda: None, lambda: may_go_on.wait(PATIENCE_SECONDS)])
    engine = an_engine(fixed_seconds=1, pieces=2)
    engine.sleep = lambda _seconds: next(waits)()
    async with started(engine) as worker:
        pieces = worker.synthesize([an_utterance(engine, "Hello.")], nobody_left)
        first = await anext(pieces)
        assert not first.last
        may_go_on.set()
        assert (await anext(pieces)).last
        await pieces.aclose()


async def test_an_engines_own_error_reaches_the_caller_and_the_worker_lives() -> None:
    async with started(an_engine()) as worker:
        with pytest.raises(EngineError, match="told to fail"):
            await spoken(worker, "[fail]")
        with pytest.raises(AudioTooShort):
            await worker.encode([a_reference(0.5)])

        assert await spoken(worker, "Well.")
        assert worker.health() is None


async def test_pieces_before_an_error_arrive_before_it() -> None:
    async with started(an_engine(pieces=2)) as worker:
        pieces = worker.synthesize([an_utterance(worker.engine, "Hello. [fail-late]")], nobody_left)
        assert (await anext(pieces)).index == 0
        with pytest.raises(EngineError):
            await anext(pieces)


@pytest.mark.parametrize(
    ("raised", "expected"),
    [
        (RuntimeError("secret of the request"), EngineError),
        (MemoryError(), EngineOutOfMemory),
        (KeyboardInterrupt(), EngineError),
        (StopIteration(), EngineError),
        (asyncio.CancelledError(), EngineError),
        (GeneratorExit(), EngineError),
    ],
)
async def test_a_strange_exception_becomes_ours_without_its_words(
    raised: BaseException, expected: type[EngineError]
) -> None:
    engine = an_engine(encode_fixed_seconds=1)

    def fail(_seconds: float) -> None:
        raise raised

    engine.sleep = fail
    async with started(engine) as worker:
        with pytest.raises(expected) as caught:
            await worker.encode([a_reference()])
        engine.sleep = lambda _seconds: None

        assert caught.value.__cause__ is raised
        assert "secret" not in caught.value.message
        assert await spoken(worker, "Well.")


async def test_closing_the_iterator_ends_the_batch_at_its_next_piece() -> None:
    engine = an_engine(pieces=1000)
    ended = threading.Event()
    inner = engine.synthesize

    def watched(*arguments):  # noqa: ANN202, ANN002 - as Engine.synthesize
        try:
            yield from inner(*arguments)
        finally:
            ended.set()

    engine.synthesize = watched
    async with started(engine) as worker:
        pieces = worker.synthesize([an_utterance(engine, "Hello there.")], nobody_left)
        await anext(pieces)
        await pieces.aclose()

        assert ended.is_set()


async def test_an_engine_that_never_asks_is_stopped_at_its_next_piece() -> None:
    engine = an_engine(pieces=2)

    def talkative(_batch: object, _cancelled: object) -> Iterator[Piece]:
        while True:
            yield Piece(0, np.zeros(1, np.float32), last=False)

    engine.synthesize = talkative
    async with started(engine) as worker:
        pieces = worker.synthesize([an_utterance(engine, "Hello.")], nobody_left)
        await anext(pieces)
        await pieces.aclose()

        assert worker.health() is None


async def test_an_engine_that_asks_between_pieces_learns_that_everybody_has_left() -> None:
    engine = an_engine(pieces=2)

    def thorough(_batch: object, cancelled: Callable[[int], bool]) -> Iterator[Piece]:
        yield Piece(0, np.zeros(1, np.float32), last=False)
        while not cancelled(0):
            pass
        yield Piece(0, np.zeros(1, np.float32), last=True)

    engine.synthesize = thorough
    async with started(engine) as worker:
        pieces = worker.synthesize([an_utterance(engine, "Hello.")], nobody_left)
        await anext(pieces)
        await pieces.aclose()

        assert worker.health() is None


async def test_an_error_does_not_keep_the_engines_arrays_alive() -> None:
    tensors: list[weakref.ref[np.ndarray]] = []
    engine = an_engine()

    def fail(_references: object) -> None:
        tensor = np.zeros(1000)
        tensors.append(weakref.ref(tensor))
        raise MemoryError

    engine.encode = fail
    async with started(engine) as worker:
        with pytest.raises(EngineOutOfMemory) as caught:
            await worker.encode([a_reference()])

    assert caught.value.__cause__ is not None
    assert tensors[0]() is None


async def test_who_is_closed_in_the_queue_never_runs() -> None:
    may_go_on = threading.Event()
    engine = an_engine(encode_fixed_seconds=1)
    engine.sleep = lambda _seconds: may_go_on.wait(PATIENCE_SECONDS)
    async with started(engine) as worker:
        extraction = asyncio.ensure_future(worker.encode([a_reference()]))
        waiting = asyncio.ensure_future(spoken(worker, "Never."))
        await asyncio.sleep(0)
        waiting.cancel()
        for _ in range(5):
            await asyncio.sleep(0)  # the cancellation takes a few turns of the loop
        may_go_on.set()
        await extraction
        with pytest.raises(asyncio.CancelledError):
            await waiting

    assert list(engine.batches) == []


async def test_a_failed_load_is_the_starters_error() -> None:
    engine = an_engine(load_seconds=1)

    def fail(_seconds: float) -> None:
        raise EngineError("no model")

    engine.sleep = fail
    worker = ThreadEngineWorker(engine)
    with pytest.raises(EngineError, match="no model"):
        await worker.start()
    await worker.stop()


async def test_a_dead_thread_fails_all_calls_and_says_so() -> None:
    may_die = threading.Event()
    engine = an_engine(encode_fixed_seconds=1)
    engine.sleep = lambda _seconds: may_die.wait(PATIENCE_SECONDS)
    async with started(engine) as worker:
        before = asyncio.ensure_future(worker.encode([a_reference()]))
        killer = asyncio.ensure_future(spoken(worker, "[die]"))
        queued = asyncio.ensure_future(spoken(worker, "Behind it."))
        await asyncio.sleep(0)
        may_die.set()

        assert await before
        for call in (killer, queued):
            with pytest.raises(EngineStopped):
                await call
        with pytest.raises(EngineStopped):
            await worker.encode([a_reference()])
        assert worker.health() == "the engine's thread has ended"


async def test_the_engines_own_health_shows() -> None:
    async with started(an_engine()) as worker:
        with pytest.raises(EngineError):
            await spoken(worker, "[break]")

        assert worker.health() == "the stub engine was told to break"


async def test_stop_lets_the_current_call_end_and_fails_the_queued_ones() -> None:
    may_go_on = threading.Event()
    engine = an_engine(encode_fixed_seconds=1)
    engine.sleep = lambda _seconds: may_go_on.wait(PATIENCE_SECONDS)
    async with started(engine) as worker:
        current = asyncio.ensure_future(worker.encode([a_reference()]))
        await run_until(lambda: len(engine.encodings) == 1)
        queued = asyncio.ensure_future(spoken(worker, "Too late."))
        stop = asyncio.ensure_future(worker.stop())
        await asyncio.sleep(0)
        may_go_on.set()

        assert await current
        with pytest.raises(EngineStopped):
            await queued
        await stop
        await worker.stop()
        with pytest.raises(EngineStopped):
            await spoken(worker, "Much too late.")


async def test_stop_closes_the_engine_once_on_its_own_thread() -> None:
    closings: list[str] = []
    engine = an_engine()
    engine.close = lambda: closings.append(threading.current_thread().name)
    async with started(engine) as worker:
        await worker.stop()

    assert closings == ["timbre-engine"]


async def test_an_engine_that_fails_to_close_still_stops() -> None:
    engine = an_engine()

    def fail() -> None:
        raise RuntimeError

    engine.close = fail
    async with started(engine) as worker:
        await worker.stop()

    assert worker.health() is not None


async def test_a_worker_that_never_started_stops_at_once() -> None:
    await ThreadEngineWorker(an_engine()).stop()


async def run_until(holds: Callable[[], bool]) -> None:
    """Lets the loop turn until the other thread has got there (the caller's timeout bounds it)."""
    while not holds():  # noqa: ASYNC110 - the other thread has no event to wait for
        await asyncio.sleep(0)
