"""When a batch fails: who gets an error, who does not, and does the engine go on?"""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.server.batching.scene import a_scene
from tests.server.engine.speech import a_reference
from tests.virtual_time import in_virtual_time
from timbre_server.batching import Limits
from timbre_server.engine.stub import StubEngine
from timbre_server.errors import EngineError, EngineOutOfMemory, EngineStopped


@pytest.mark.parametrize("fault", ["[fail]", "[fail-late]", "[crash]", "[oom]"])
@pytest.mark.parametrize("guilty", [0, 7, 15])
@in_virtual_time
async def test_of_sixteen_only_the_guilty_one_fails(guilty: int, fault: str) -> None:
    texts = [f"Innocent number {number}." for number in range(16)]
    texts[guilty] = f"Guilty {fault}."
    async with a_scene(StubEngine(pieces=3)) as scene:
        for text in texts:
            scene.request(text)
        heard = await scene.heard()

    assert [reader.error is not None for reader in heard] == [number == guilty for number in range(16)]
    assert isinstance(heard[guilty].error, EngineError)
    for number in set(range(16)) - {guilty}:
        assert np.array_equal(heard[number].samples, scene.alone(texts[number]))


@in_virtual_time
async def test_the_guilty_one_costs_at_most_two_small_batches_per_halving() -> None:
    async with a_scene() as scene:
        for number in range(16):
            scene.request("[fail]" if number == 5 else f"Innocent {number}.")
        await scene.heard()

    assert [len(batch) for batch in scene.batches()] == [16, 8, 4, 4, 2, 1, 1, 2, 8]


@in_virtual_time
async def test_two_guilty_ones_are_both_found() -> None:
    async with a_scene() as scene:
        for number in range(8):
            scene.request("[fail]" if number in {2, 5} else f"Innocent {number}.")
        heard = await scene.heard()

    assert [number for number, reader in enumerate(heard) if reader.error] == [2, 5]


@in_virtual_time
async def test_speech_that_was_heard_before_a_failure_is_not_heard_twice() -> None:
    async with a_scene(StubEngine(pieces=4)) as scene:
        innocent = scene.request("A sentence that many pieces make.")
        scene.request("[fail-late]")
        heard = await innocent

    assert len(scene.batches()) == 3
    assert np.array_equal(heard.samples, scene.alone("A sentence that many pieces make."))


@in_virtual_time
async def test_a_failed_sentence_ends_its_row_after_what_came_before_it() -> None:
    async with a_scene() as scene:
        heard = await scene.request("Before.", "[fail]", "After.", "Long after.")
        await scene.dispatcher.drained()

    assert isinstance(heard.error, EngineError)
    assert np.array_equal(heard.samples, scene.alone("Before."))
    assert scene.dispatcher.pending_work_seconds == 0.0


@in_virtual_time
async def test_what_stands_behind_a_failed_sentence_is_dropped_before_it_costs_anything() -> None:
    async with a_scene(limits=Limits(max_batch_size=1)) as scene:
        await scene.request("[fail]", "Never.", "Never ever.")
        await scene.request("Another.")

    assert scene.batches() == [("[fail]",), ("Another.",)]


@in_virtual_time
async def test_a_failed_request_does_not_fail_those_that_come_after_it() -> None:
    async with a_scene() as scene:
        failed = await scene.request("[crash]")
        well = await scene.request("Well.")

    assert isinstance(failed.error, EngineError)
    assert well.error is None


@in_virtual_time
async def test_a_batch_too_large_for_memory_is_halved_and_so_are_the_next_ones() -> None:
    async with a_scene() as scene:
        for number in range(8):
            scene.request(f"Number {number} [oom-above-4].")
        heard = await scene.heard()
        for number in range(8):
            scene.request(f"Again {number} [oom-above-4].")
        await scene.heard()

    assert [reader.error for reader in heard] == [None] * 8
    assert [len(batch) for batch in scene.batches()] == [8, 4, 4, 4, 4]


@in_virtual_time
async def test_one_job_too_large_for_memory_halves_the_next_batches_once_and_not_at_each_try() -> None:
    async with a_scene() as scene:
        for number in range(8):
            scene.request("[oom]" if number == 3 else f"Innocent {number}.")
        await scene.heard()
        for number in range(8):
            scene.request(f"Again {number}.")
        await scene.heard()

    assert [len(batch) for batch in scene.batches()[-2:]] == [4, 4]


@in_virtual_time
async def test_batches_grow_again_once_memory_had_time_to_recover() -> None:
    async with a_scene() as scene:
        for number in range(8):
            scene.request(f"Number {number} [oom-above-4].")
        await scene.heard()
        await asyncio.sleep(120.0)
        for number in range(8):
            scene.request(f"Recovered {number}.")
        await scene.heard()

    assert [len(batch) for batch in scene.batches()] == [8, 4, 4, 8]


@in_virtual_time
async def test_one_job_too_large_for_memory_gets_that_error() -> None:
    async with a_scene() as scene:
        heard = await scene.request("[oom]")

    assert isinstance(heard.error, EngineOutOfMemory)


@pytest.mark.parametrize(("relieved", "tries"), [(True, 2), (False, 1)])
@in_virtual_time
async def test_a_lone_job_is_tried_once_more_if_memory_was_freed(*, relieved: bool, tries: int) -> None:
    async with a_scene() as scene:
        scene.observed.relieves = relieved
        heard = await scene.request("[oom]")

    assert isinstance(heard.error, EngineOutOfMemory)
    assert len(scene.observed.batches) == tries


@in_virtual_time
async def test_a_failed_extraction_fails_alone() -> None:
    async with a_scene() as scene:
        scene.request("Busy.")
        results = await asyncio.gather(
            *(scene.dispatcher.extract(a_reference(transcript=fault)) for fault in ("", "[fail]", "")),
            return_exceptions=True,
        )

    assert [type(result) for result in results] == [dict, EngineError, dict]


@pytest.mark.parametrize("end", ["[die]", "[break]"])
@in_virtual_time
async def test_when_the_engine_is_gone_nobody_hangs(end: str) -> None:
    async with a_scene(limits=Limits(max_batch_size=2)) as scene:
        scene.request("Busy.")
        readers = [scene.request(text, after=0.001) for text in (end, "With it.", "Behind it.")]
        await asyncio.sleep(0.002)
        extraction = asyncio.ensure_future(scene.dispatcher.extract(a_reference()))
        heard = await asyncio.gather(*readers)
        with pytest.raises(EngineStopped):
            await extraction

        assert all(isinstance(reader.error, EngineStopped) for reader in heard)
        assert scene.dispatcher.health() is not None
        assert isinstance((await scene.request("Later.")).error, EngineStopped)


@in_virtual_time
async def test_a_batch_that_never_ends_is_noticed_after_a_minute_and_forgiven_when_it_ends() -> None:
    async with a_scene() as scene:
        heard = scene.request("[slow:90]")
        await asyncio.sleep(60.0)
        assert scene.dispatcher.health() is None
        await asyncio.sleep(1.0)
        assert scene.dispatcher.health() == "the engine has given no sign of life for 61 s amid a batch"

        await heard
        assert scene.dispatcher.health() is None
        await asyncio.sleep(1000.0)
        assert scene.dispatcher.health() is None


@in_virtual_time
async def test_an_extraction_that_never_ends_is_noticed_too() -> None:
    async with a_scene() as scene:
        extraction = asyncio.ensure_future(scene.dispatcher.extract(a_reference(transcript="[slow:90]")))
        await asyncio.sleep(61.0)
        assert scene.dispatcher.health() is not None
        await extraction


@in_virtual_time
async def test_a_long_batch_that_still_speaks_is_well() -> None:
    async with a_scene(StubEngine(pieces=3)) as scene:
        heard = scene.request("[slow:150]")
        await asyncio.sleep(140.0)

        assert scene.dispatcher.health() is None
        await heard


@in_virtual_time
async def test_an_engine_without_pieces_is_given_twenty_times_what_it_predicted() -> None:
    async with a_scene(StubEngine(fixed_seconds=10.0, per_job_seconds=0.0)) as scene:
        heard = scene.request("[slow:300]")
        await asyncio.sleep(199.0)
        assert scene.dispatcher.health() is None
        await asyncio.sleep(2.0)
        assert scene.dispatcher.health() is not None
        await heard


@in_virtual_time
async def test_an_engine_that_forgets_a_job_fails_that_job_only() -> None:
    async with a_scene() as scene:
        whole = scene.engine.synthesize
        scene.engine.synthesize = lambda batch, cancelled: (
            piece for piece in whole(batch, cancelled) if batch[piece.index].text != "Forgotten."
        )
        scene.request("Busy.")
        well = scene.request("Well.", after=0.001)
        forgotten = scene.request("Forgotten.", after=0.001)

        assert (await well).error is None
        assert isinstance((await forgotten).error, EngineError)


@in_virtual_time
async def test_a_client_that_leaves_a_failing_batch_is_not_tried_again() -> None:
    async with a_scene(StubEngine(fixed_seconds=1.0, per_job_seconds=0.0)) as scene:
        scene.request("Busy.")
        stays = scene.request("Stays.", after=0.1)
        scene.request("[fail]", after=0.1)
        leaves = scene.request("Leaves.", after=0.1)
        scene.request("[slow:5]", after=0.1)
        await asyncio.sleep(1.5)
        leaves.cancel()
        await stays
        await scene.dispatcher.drained()

    assert sum("Leaves." in batch for batch in scene.batches()) == 1
