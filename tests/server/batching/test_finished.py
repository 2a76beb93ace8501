"""When does the engine read the features of a request no more?  Their memory may be another voice's a moment later."""

from __future__ import annotations

import asyncio

from tests.server.batching.scene import Scene, a_scene
from tests.virtual_time import in_virtual_time
from timbre_server.batching import Limits
from timbre_server.batching.stream import SpeechStream
from timbre_server.engine.stub import StubEngine

SLOW = StubEngine(fixed_seconds=1.0, per_job_seconds=0.0, pieces=10)


def speaking(scene: Scene, ends: list[float], *texts: str) -> SpeechStream:
    """A request that notes when the engine is done with its features."""
    clock = asyncio.get_running_loop().time
    permit = scene.dispatcher.admit(1.0)
    return scene.dispatcher.speak(scene.row(*texts), permit=permit, finished=lambda: ends.append(round(clock(), 3)))


@in_virtual_time
async def test_features_are_done_with_when_the_last_sentence_is_spoken_read_or_not() -> None:
    ends: list[float] = []
    async with a_scene(StubEngine(fixed_seconds=1.0, per_job_seconds=0.0)) as scene:
        stream = speaking(scene, ends, "One.", "Two.")
        await scene.dispatcher.drained()
        assert ends == [2.0]
        await stream.aclose()
    assert ends == [2.0]


@in_virtual_time
async def test_the_batch_that_runs_keeps_the_features_of_a_client_that_left() -> None:
    ends: list[float] = []
    async with a_scene(SLOW) as scene:
        stayer = scene.request("Who stays.")
        stream = speaking(scene, ends, "Who leaves.")
        await anext(stream)
        left_at = asyncio.get_running_loop().time()
        await stream.aclose()
        assert ends == []
        await stayer
        await asyncio.sleep(0)
    assert len(ends) == 1
    assert ends[0] > left_at


@in_virtual_time
async def test_a_client_that_leaves_the_queue_needs_its_features_no_more() -> None:
    ends: list[float] = []
    async with a_scene(SLOW, limits=Limits(max_batch_size=1)) as scene:
        runner = scene.request("Runs.")
        await asyncio.sleep(0.05)
        stream = speaking(scene, ends, "Waits.")
        await asyncio.sleep(0.05)
        await stream.aclose()
        assert ends == [0.1]
        await runner


@in_virtual_time
async def test_a_failed_job_is_done_with_its_features() -> None:
    ends: list[float] = []
    async with a_scene() as scene:
        stream = speaking(scene, ends, "[fail]")
        await scene.dispatcher.drained()
        assert len(ends) == 1
        await stream.aclose()


@in_virtual_time
async def test_a_stopped_dispatcher_holds_on_to_nothing() -> None:
    ends: list[float] = []
    async with a_scene() as scene:
        await scene.dispatcher.stop()
        stream = scene.dispatcher.speak(scene.row("Late."), permit=_NoPermit(), finished=lambda: ends.append(0.0))
        assert ends == [0.0]
        await stream.aclose()


class _NoPermit:
    def release(self) -> None:
        pass
