"""What waits for the engine, and what it would take in full batches."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.batching.scene import a_scene
from tests.virtual_time import in_virtual_time
from timbre_server.batching import Limits
from timbre_server.engine.stub import StubEngine

JOB = 0.022
"""What a sentence costs alone; in a batch of n it takes 20 + 2 n ms."""


@in_virtual_time
async def test_light_traffic_is_measured_by_full_batches_once_some_have_run() -> None:
    async with a_scene() as scene:
        alone = scene.dispatcher.speech_demand_seconds([JOB])
        for number in range(40):
            for _ in range(1 + number % 8):
                scene.request("A sentence.")
            await scene.heard()

        assert alone == JOB
        assert scene.dispatcher.speech_demand_seconds([JOB]) == pytest.approx(0.052 / 16, rel=0.05)


@in_virtual_time
async def test_an_engine_that_takes_one_voice_at_a_time_has_no_full_batches() -> None:
    async with a_scene(StubEngine(max_cross_voice_batch=1)) as scene:
        for number in range(40):
            for _ in range(1 + number % 8):
                scene.request("A sentence.")
            await scene.heard()

        assert scene.dispatcher.speech_demand_seconds([JOB]) == pytest.approx(JOB, rel=0.05)


@in_virtual_time
async def test_a_batch_is_full_when_its_cost_is() -> None:
    async with a_scene(
        limits=Limits(max_batch_size=16, max_cross_voice_batch=16, max_batch_cost_seconds=2 * JOB)
    ) as scene:
        for number in range(40):
            for _ in range(1 + number % 2):
                scene.request("A sentence.")
            await scene.heard()

        assert scene.dispatcher.speech_demand_seconds([JOB] * 3) == pytest.approx(3 * 0.024 / 2, rel=0.05)


@in_virtual_time
async def test_an_extraction_costs_its_share_of_a_batch_of_references() -> None:
    async with a_scene() as scene:
        assert scene.dispatcher.extraction_demand_seconds(0.05) == 0.05


@in_virtual_time
async def test_a_request_is_queued_from_its_admission_until_the_engine_takes_its_first_sentence() -> None:
    async with a_scene() as scene:
        permit = scene.dispatcher.admit(3 * JOB)
        admitted = scene.dispatcher.queued_requests
        speech = scene.dispatcher.speak(scene.row("One.", "Two.", "Three."), permit=permit)
        submitted = scene.dispatcher.queued_requests
        await anext(speech)

        assert (admitted, submitted, scene.dispatcher.queued_requests) == (1, 1, 0)
        await speech.aclose()
        assert scene.dispatcher.queued_requests == 0


@in_virtual_time
async def test_requests_are_counted_and_not_their_sentences() -> None:
    async with a_scene(limits=Limits(max_batch_size=1)) as scene:
        for _ in range(3):
            scene.request("One.", "Two.", "Three.", "Four.")
        await asyncio.sleep(0.001)

        assert scene.dispatcher.queued_requests == 2  # one is at the engine
        await scene.heard()
        assert scene.dispatcher.queued_requests == 0


@in_virtual_time
async def test_who_leaves_the_queue_is_no_longer_in_it() -> None:
    async with a_scene() as scene:
        permit = scene.dispatcher.admit(JOB)
        permit.release()
        permit.release()

        assert scene.dispatcher.queued_requests == 0
