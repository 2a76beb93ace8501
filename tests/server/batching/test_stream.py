"""Is a request given up in every way in which its reader can go?"""

from __future__ import annotations

import asyncio
import gc
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.server.batching.scene import Scene, a_scene
from tests.virtual_time import in_virtual_time
from timbre_server.batching.stream import SpeechStream
from timbre_server.engine.stub import StubEngine


@asynccontextmanager
async def a_slow_scene() -> AsyncIterator[Scene]:
    """Each batch takes a second, in ten pieces."""
    async with a_scene(StubEngine(fixed_seconds=1.0, per_job_seconds=0.0, pieces=10)) as scene:
        yield scene
        await scene.dispatcher.drained()
        assert scene.dispatcher.pending_requests == 0
        assert scene.dispatcher.pending_work_seconds == 0.0
        assert scene.batches() == [("One.",)]


def a_stream(scene: Scene) -> SpeechStream:
    return scene.dispatcher.speak(scene.row("One.", "Never."), permit=scene.dispatcher.admit(2.0))


@in_virtual_time
async def test_by_closing() -> None:
    async with a_slow_scene() as scene:
        stream = a_stream(scene)
        await anext(stream)
        await stream.aclose()
        await stream.aclose()

        assert scene.dispatcher.pending_requests == 0
        assert [samples async for samples in stream] == []


@in_virtual_time
async def test_by_being_cancelled_while_it_waits() -> None:
    async with a_slow_scene() as scene:
        stream = a_stream(scene)
        await anext(stream)
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(stream)

        assert scene.dispatcher.pending_requests == 0


@in_virtual_time
async def test_by_being_thrown_away_half_read() -> None:
    async with a_slow_scene() as scene:
        stream = a_stream(scene)
        await anext(stream)
        del stream
        gc.collect()


@in_virtual_time
async def test_by_being_thrown_away_in_another_thread() -> None:
    async with a_slow_scene() as scene:
        held = [a_stream(scene)]
        await anext(held[0])
        other = threading.Thread(target=held.clear)
        other.start()
        other.join()


def test_by_being_thrown_away_after_the_loop_has_gone() -> None:
    kept: list[SpeechStream] = []

    @in_virtual_time
    async def speak() -> None:
        async with a_scene() as scene:
            kept.append(a_stream(scene))

    speak()
    kept.clear()
    gc.collect()
