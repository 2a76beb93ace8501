"""Does every reader get its own speech, in order and early, and the engine its next batch at once?"""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from tests.server.batching.scene import a_scene
from tests.server.engine.speech import a_reference
from tests.virtual_time import in_virtual_time
from timbre_server.batching import Limits
from timbre_server.engine.stub import StubEngine
from timbre_server.errors import AudioTooShort, EngineStopped, Overloaded


@in_virtual_time
async def test_a_request_alone_takes_the_time_of_its_own_batch() -> None:
    async with a_scene() as scene:
        heard = await scene.request("Hello.")

    assert heard.first_at == 0.022
    assert np.array_equal(heard.samples, scene.alone("Hello."))


@in_virtual_time
async def test_a_batch_forms_while_the_engine_works() -> None:
    async with a_scene() as scene:
        scene.request("First.")
        for number in range(5):
            scene.request(f"Then {number}.", after=0.001 * (number + 1))
        await scene.heard()

    assert scene.batches() == [("First.",), tuple(f"Then {number}." for number in range(5))]
    assert scene.times() == [0.0, 0.022]


@in_virtual_time
async def test_a_full_batch_leaves_at_once() -> None:
    async with a_scene(limits=Limits(max_batch_size=2, max_queue_delay_seconds=1.0)) as scene:
        scene.request("One.")
        scene.request("Two.")
        await scene.heard()

    assert scene.times() == [0.0]


@in_virtual_time
async def test_a_batch_waits_for_company_no_longer_than_the_delay() -> None:
    async with a_scene(limits=Limits(max_queue_delay_seconds=0.05)) as scene:
        scene.request("One.")
        scene.request("Two.", after=0.03)
        scene.request("Late.", after=0.06)
        await scene.heard()

    assert scene.batches() == [("One.", "Two."), ("Late.",)]
    assert scene.times() == [0.05, 0.11]


@in_virtual_time
async def test_saturation_reaches_the_engines_own_bound() -> None:
    async with a_scene() as scene:
        for number in range(160):
            scene.request(f"Number {number}.")
        await scene.heard()
        seconds = asyncio.get_running_loop().time()

    assert 160 / seconds >= 0.99 * 16 / 0.052


@in_virtual_time
async def test_first_sentences_run_before_later_ones() -> None:
    async with a_scene(limits=Limits(max_batch_size=2)) as scene:
        scene.request("A1.", "A2.", "A3.", "A4.")
        scene.request("B1.", after=0.01)
        scene.request("C1.", after=0.011)
        await scene.heard()

    assert scene.batches() == [("A1.",), ("B1.", "C1."), ("A2.", "A3."), ("A4.",)]


@in_virtual_time
async def test_a_long_text_ends_although_new_requests_never_pause() -> None:
    async with a_scene(limits=Limits(max_batch_size=1, patience_seconds=0.2)) as scene:
        long = scene.request("L1.", "L2.", "L3.")
        for number in range(100):
            scene.request(f"N{number}.", after=0.02 * number)
        heard = await long

    assert np.array_equal(heard.samples, scene.alone("L1.", "L2.", "L3."))
    assert heard.times[-1] < 0.8


@in_virtual_time
async def test_a_row_is_heard_in_its_order_and_not_more_than_four_jobs_are_open() -> None:
    texts = [f"Sentence number {number}." for number in range(12)]
    async with a_scene() as scene:
        heard = await scene.request(*texts)

    assert np.array_equal(heard.samples, scene.alone(*texts))
    assert max(len(batch) for batch in scene.batches()) == 4
    assert scene.batches()[0] == (texts[0],)


@in_virtual_time
async def test_different_voices_share_a_batch_only_as_far_as_the_engine_can() -> None:
    async with a_scene(StubEngine(max_cross_voice_batch=1)) as scene:
        scene.request("Busy.", voice="echo")
        scene.request("A1.", voice="alloy")
        scene.request("N1.", voice="nova")
        scene.request("A2.", voice="alloy")
        await scene.heard()

    assert scene.batches() == [("Busy.",), ("A1.", "A2."), ("N1.",)]


@in_virtual_time
async def test_pieces_arrive_as_the_engine_makes_them() -> None:
    async with a_scene(StubEngine(pieces=2)) as scene:
        heard = await scene.request("Hello there.")

    assert heard.times == [0.011, 0.022]
    assert np.array_equal(heard.samples, scene.alone("Hello there."))


@in_virtual_time
async def test_a_request_whose_client_left_costs_nothing() -> None:
    async with a_scene() as scene:
        scene.request("Busy.")
        stays = scene.request("Stays.", after=0.001)
        leaves = scene.request("Leaves.", after=0.002)
        await asyncio.sleep(0.01)
        leaves.cancel()
        await stays

    assert scene.batches() == [("Busy.",), ("Stays.",)]


@in_virtual_time
async def test_who_left_takes_no_place_in_a_batch() -> None:
    async with a_scene(limits=Limits(max_batch_size=2)) as scene:
        scene.request("Busy.")
        leaves = scene.request("Leaves.", after=0.001)
        scene.request("Stays.", after=0.002)
        scene.request("Stays too.", after=0.003)
        await asyncio.sleep(0.01)
        leaves.cancel()
        await asyncio.sleep(1.0)

    assert scene.batches() == [("Busy.",), ("Stays.", "Stays too.")]


@in_virtual_time
async def test_a_client_that_leaves_ends_its_job_at_the_next_piece() -> None:
    async with a_scene(StubEngine(fixed_seconds=1.0, pieces=10)) as scene:
        stream = scene.dispatcher.speak(scene.row("Hello there."), permit=scene.dispatcher.admit(1.0))
        await anext(stream)
        await stream.aclose()
        await scene.request("Next.")

    assert scene.times()[1] <= 0.31


@in_virtual_time
async def test_an_iterator_that_is_thrown_away_unread_frees_its_permit() -> None:
    async with a_scene() as scene:
        scene.dispatcher.speak(scene.row("Busy."), permit=scene.dispatcher.admit(1.0))
        scene.dispatcher.speak(scene.row("Never."), permit=scene.dispatcher.admit(1.0))
        await scene.dispatcher.drained()

        assert scene.dispatcher.pending_work_seconds == 0.0
        assert scene.dispatcher.pending_requests == 0
        assert scene.batches() == []


@in_virtual_time
async def test_a_slow_reader_stops_neither_the_engine_nor_others_and_holds_a_minute_of_speech() -> None:
    texts = ["This sentence has exactly as many characters as it takes to speak ten seconds." * 2] * 30
    async with a_scene() as scene:
        slow = scene.dispatcher.speak(scene.row(*texts), permit=scene.dispatcher.admit(1.0))
        first = await anext(slow)
        other = await scene.request("Others pass.", after=5.0)
        assert other.error is None
        ran = sum(text == texts[0] for batch in scene.batches() for text in batch)
        spoken_seconds = len(texts[0]) * 0.06

        assert 60.0 <= ran * spoken_seconds <= 60.0 + 5 * spoken_seconds
        rest = [samples async for samples in slow]
        assert np.array_equal(np.concatenate([first, *rest]), scene.alone(*texts))


@in_virtual_time
async def test_readers_who_never_read_do_not_keep_others_out() -> None:
    texts = ["This sentence is spoken in about five seconds, which is a twelfth of what may be ahead."] * 60
    async with a_scene(max_pending_seconds=2.0) as scene:
        unread = []
        for _ in range(10):
            unread.append(scene.dispatcher.speak(scene.row(*texts), permit=scene.dispatcher.admit(0.022 * len(texts))))
            await asyncio.sleep(60.0)
        assert scene.dispatcher.pending_requests == len(unread)

        assert scene.dispatcher.pending_work_seconds == 0.0
        assert (await scene.request("Me too.")).error is None
        heard = np.concatenate([samples async for samples in unread[0]])
        assert np.array_equal(heard, scene.alone(*texts))


@in_virtual_time
async def test_extraction_and_speech_never_share_a_batch_and_run_in_the_order_of_their_age() -> None:
    async with a_scene() as scene:
        scene.request("Busy.")
        await asyncio.sleep(0.001)
        extractions = []
        for number in range(3):
            scene.request(f"Speech {number}.")
            await asyncio.sleep(0.001)
            extractions.append(asyncio.ensure_future(scene.dispatcher.extract(a_reference(hertz=100.0 + number))))
            await asyncio.sleep(0.001)
        await asyncio.gather(*extractions, scene.heard())

    assert [call.kind for call in scene.worker.calls] == ["speech", "speech", "voices"]
    assert [len(call.names) for call in scene.worker.calls] == [1, 3, 3]


@in_virtual_time
async def test_extraction_returns_what_the_engine_extracts() -> None:
    reference = a_reference()
    async with a_scene() as scene:
        features = await scene.dispatcher.extract(reference)
        expected = scene.engine.encode([reference])[0]

    assert {name: array.tolist() for name, array in features.items()} == {
        name: array.tolist() for name, array in expected.items()
    }


@in_virtual_time
async def test_an_extraction_nobody_waits_for_is_dropped() -> None:
    async with a_scene() as scene:
        scene.request("Busy.")
        extraction = asyncio.ensure_future(scene.dispatcher.extract(a_reference()))
        await asyncio.sleep(0.001)
        extraction.cancel()
        await scene.heard()
        await scene.dispatcher.drained()

    assert scene.batches("voices") == []


@in_virtual_time
async def test_who_leaves_a_running_extraction_does_not_disturb_the_others() -> None:
    async with a_scene() as scene:
        leaves, stays = (asyncio.ensure_future(scene.dispatcher.extract(a_reference())) for _ in range(2))
        await asyncio.sleep(0.01)
        leaves.cancel()

        assert await stays
        assert len(scene.batches("voices")) == 1
        assert (await scene.request("Well.")).error is None


@in_virtual_time
async def test_a_bad_reference_fails_alone() -> None:
    async with a_scene() as scene:
        scene.request("Busy.")
        results = await asyncio.gather(
            *(scene.dispatcher.extract(a_reference(seconds)) for seconds in (4.0, 0.5, 5.0)), return_exceptions=True
        )

    assert [type(result) for result in results] == [dict, AudioTooShort, dict]


@in_virtual_time
async def test_the_timings_tell_waiting_from_speaking() -> None:
    async with a_scene() as scene:
        scene.request("Busy.")
        heard = await scene.request("One.", "Two.", after=0.012)

    assert heard.timings.queue_seconds == pytest.approx(0.010)
    assert heard.timings.synthesis_seconds == pytest.approx(0.044)


@in_virtual_time
async def test_the_observer_is_told_of_every_batch() -> None:
    async with a_scene() as scene:
        scene.request("One.")
        scene.request("Two.")
        await scene.heard()
        await scene.dispatcher.extract(a_reference())

    assert scene.observed.batches == [(2, 0.024), (1, 0.05)]


@in_virtual_time
async def test_pending_work_falls_as_sentences_finish() -> None:
    async with a_scene() as scene:
        scene.request("One.", "Two.", "Three.")
        await asyncio.sleep(0.001)
        before = scene.dispatcher.pending_work_seconds
        await asyncio.sleep(0.022)
        between = scene.dispatcher.pending_work_seconds
        await scene.heard()

        assert before == pytest.approx(0.066)
        assert between == pytest.approx(0.044)
        assert scene.dispatcher.pending_work_seconds == 0.0


@in_virtual_time
async def test_pending_work_is_told_in_time_at_the_engine_and_not_in_promises() -> None:
    async with a_scene() as scene:
        for number in range(32):
            scene.request(f"Number {number}.")
        await scene.heard()
        permit = scene.dispatcher.admit(16 * 0.022)

        assert scene.dispatcher.pending_work_seconds == pytest.approx(0.052, rel=0.01)
        permit.release()


@in_virtual_time
async def test_what_failed_teaches_nothing_about_costs() -> None:
    async with a_scene() as scene:
        await scene.request("[fail]")
        permit = scene.dispatcher.admit(1.0)

        assert scene.dispatcher.pending_work_seconds == 1.0
        permit.release()


@in_virtual_time
async def test_a_permit_is_released_when_the_engine_is_done_however_slow_the_reader_is() -> None:
    class APermit:
        released = False

        def release(self) -> None:
            self.released = True

    permit = APermit()
    async with a_scene() as scene:
        unread = scene.dispatcher.speak(scene.row("One.", "Two."), permit=permit)
        await scene.dispatcher.drained()

        assert permit.released
        assert len([samples async for samples in unread]) == 2


@in_virtual_time
async def test_who_does_not_fit_is_told_when_it_would() -> None:
    async with a_scene(StubEngine(fixed_seconds=1.0, per_job_seconds=0.0), max_pending_seconds=3.0) as scene:
        for _ in range(3):
            scene.request("Fits.")
        await asyncio.sleep(0.5)
        with pytest.raises(Overloaded) as refused:
            scene.dispatcher.admit(1.0)
        await asyncio.sleep(refused.value.retry_after_seconds)

        scene.dispatcher.admit(1.0).release()


@in_virtual_time
async def test_drained_waits_for_all_work() -> None:
    async with a_scene() as scene:
        scene.request("One.", "Two.")
        extraction = asyncio.ensure_future(scene.dispatcher.extract(a_reference()))
        await asyncio.sleep(0.001)
        await scene.dispatcher.drained()

        assert asyncio.get_running_loop().time() == pytest.approx(0.022 + 0.05 + 0.022)
        assert await extraction


@in_virtual_time
async def test_stop_fails_everybody_who_waits() -> None:
    async with a_scene() as scene:
        permit = scene.dispatcher.admit(1.0)
        speaking = scene.request("One.", "Two.")
        waiting = scene.request("Waits.", after=0.001)
        extraction = asyncio.ensure_future(scene.dispatcher.extract(a_reference()))
        await asyncio.sleep(0.002)
        await scene.dispatcher.stop()

        assert isinstance((await speaking).error, EngineStopped)
        assert isinstance((await waiting).error, EngineStopped)
        with pytest.raises(EngineStopped):
            await extraction
        with pytest.raises(EngineStopped):
            await scene.dispatcher.extract(a_reference())
        with pytest.raises(EngineStopped):
            scene.dispatcher.admit(1.0)
        with pytest.raises(EngineStopped):
            await anext(scene.dispatcher.speak(scene.row("Too late."), permit=permit))
        assert scene.dispatcher.health() == "the engine has stopped"
        assert scene.dispatcher.pending_requests == 0
