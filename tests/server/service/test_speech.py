"""Speaking, over the real queue and a stub engine."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import numpy as np
import pytest

from tests.server.service.parts import HER_VOICE, HIS_VOICE, Parts, built_parts, recorded
from timbre_server.domain.pcm import Pcm, Samples
from timbre_server.domain.speech import SpeechParameters
from timbre_server.domain.voice import Reference
from timbre_server.engine.stub import SAMPLE_RATE_HZ, SECONDS_PER_CHARACTER, StubEngine
from timbre_server.errors import EngineError, Overloaded, TextTooLong, UnspeakableText, VoiceNotFound
from timbre_server.service.casting import OneOffReference
from timbre_server.service.speech import SpeechRequest
from timbre_server.service.voices import VoiceUpload

TENANT = "tenant"
TWO_SENTENCES = "This comes first. This comes second."


def a_request(text: str = TWO_SENTENCES, voice: str | None = "alloy", **changes: object) -> SpeechRequest:
    return SpeechRequest(tenant=TENANT, text=text, voice=voice, **changes)  # type: ignore[arg-type]


async def spoken(parts: Parts, request: SpeechRequest) -> Samples:
    async with aclosing(await parts.speech.speak(request)) as speech:
        return np.concatenate([piece async for piece in speech.samples()])


async def enrolled(parts: Parts, recording: str = HIS_VOICE) -> str:
    return (await parts.voices.enrol(TENANT, "a voice", VoiceUpload(recorded(recording)))).id


async def test_all_sentences_are_heard(parts: Parts) -> None:
    samples = await spoken(parts, a_request())
    letters = len(TWO_SENTENCES) - 1  # the space between the sentences
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(letters * SECONDS_PER_CHARACTER, abs=0.001)


async def test_a_long_text_is_heard_wholly(parts: Parts) -> None:
    sentences = [f"This is sentence number {number} of a long text." for number in range(60)]
    samples = await spoken(parts, a_request(" ".join(sentences)))
    assert len(samples) / SAMPLE_RATE_HZ == pytest.approx(sum(map(len, sentences)) * SECONDS_PER_CHARACTER, abs=0.1)


@pytest.mark.parametrize("speed", [0.25, 0.5, 2.0, 4.0])
async def test_speed_counts_as_a_whole_wherever_it_is_made(parts: Parts, speed: float) -> None:
    plain = await spoken(parts, a_request())
    changed = await spoken(parts, a_request(parameters=SpeechParameters(speed=speed)))
    assert len(changed) == pytest.approx(len(plain) / speed, rel=0.02)


async def test_the_voice_comes_from_memory_once_it_was_extracted(parts: Parts) -> None:
    voice_id = await enrolled(parts)
    parts.features.forget((await parts.voices.voice(TENANT, voice_id)).digest)
    sources = []
    for _ in range(2):
        async with aclosing(await parts.speech.speak(a_request(voice=voice_id))) as speech:
            sources.append(speech.voice_source)
    assert sources == ["extracted", "host"]


async def test_many_requests_for_a_cold_voice_extract_it_once(parts: Parts) -> None:
    voice_id = await enrolled(parts)
    parts.features.forget((await parts.voices.voice(TENANT, voice_id)).digest)
    before = len(parts.engine.encodings)
    await asyncio.gather(*(spoken(parts, a_request(voice=voice_id)) for _ in range(10)))
    assert len(parts.engine.encodings) == before + 1
    assert parts.dispatcher.pending_work_seconds == 0


async def test_a_request_ends_with_the_voice_that_it_began_with(parts: Parts) -> None:
    voice_id = await enrolled(parts, HIS_VOICE)
    before = await spoken(parts, a_request(voice=voice_id))
    async with aclosing(await parts.speech.speak(a_request(voice=voice_id))) as speech:
        await parts.voices.replace(TENANT, voice_id, VoiceUpload(recorded(HER_VOICE)))
        during = np.concatenate([piece async for piece in speech.samples()])
    after = await spoken(parts, a_request(voice=voice_id))
    np.testing.assert_array_equal(during, before)
    assert not np.array_equal(after, before)


async def test_another_tenants_voice_does_not_exist(parts: Parts) -> None:
    voice_id = await enrolled(parts)
    stranger = SpeechRequest(tenant="other", text="Hello.", voice=voice_id)
    with pytest.raises(VoiceNotFound):
        await parts.speech.speak(stranger)


async def test_a_one_off_voice_sounds_like_the_enrolled_one(parts: Parts) -> None:
    one_off = OneOffReference(recorded(HIS_VOICE))
    np.testing.assert_array_equal(
        await spoken(parts, a_request(voice=None, reference=one_off)),
        await spoken(parts, a_request(voice=await enrolled(parts))),
    )


@pytest.mark.parametrize(("length", "passes"), [(4096, True), (4097, False)])
async def test_the_bound_on_the_text_is_exact(parts: Parts, length: int, *, passes: bool) -> None:
    request = a_request("x" * length)
    if passes:
        async with aclosing(await parts.speech.speak(request)):
            return
    with pytest.raises(TextTooLong, match="4096"):
        await parts.speech.speak(request)


@pytest.mark.parametrize("text", ["", "?!", "?" * 1000])
async def test_what_cannot_be_spoken_is_refused_by_its_field(parts: Parts, text: str) -> None:
    with pytest.raises(UnspeakableText) as caught:
        await parts.speech.speak(a_request(text))
    assert caught.value.param == "input"


@pytest.mark.parametrize(
    "request_",
    [a_request("[fail] at once."), a_request(voice=None, reference=OneOffReference(b"no audio")), a_request("[crash]")],
)
async def test_a_failure_gives_the_place_in_the_queue_back(parts: Parts, request_: SpeechRequest) -> None:
    with pytest.raises(Exception):  # noqa: B017 -- whichever: only the queue counts here
        await parts.speech.speak(request_)
    assert (parts.dispatcher.pending_work_seconds, parts.dispatcher.pending_requests) == (0, 0)


async def test_a_later_failure_comes_after_what_was_said(parts: Parts) -> None:
    async with aclosing(await parts.speech.speak(a_request("This is said. This [fail] is not."))) as speech:
        samples = speech.samples()
        assert (await anext(samples)).size
        with pytest.raises(EngineError):
            await anext(samples)
    assert parts.dispatcher.pending_work_seconds == 0


async def test_closing_early_gives_the_rest_back(parts: Parts) -> None:
    text = " ".join(["One more sentence."] * 50)
    async with aclosing(await parts.speech.speak(a_request(text))) as speech:
        assert (await anext(speech.samples())).size
    assert (parts.dispatcher.pending_work_seconds, parts.dispatcher.pending_requests) == (0, 0)
    await parts.dispatcher.drained()
    assert sum(len(batch) for batch in parts.engine.batches) < 50


async def test_nothing_is_done_for_a_request_that_is_not_let_in() -> None:
    async with built_parts(StubEngine(), max_pending_seconds=0.001) as parts:
        permit = parts.dispatcher.admit(1.0)
        request = a_request(voice=None, reference=OneOffReference(b"would be refused if anybody looked"))
        with pytest.raises(Overloaded):
            await parts.speech.speak(request)
        permit.release()


async def test_the_times_are_those_of_the_request(parts: Parts) -> None:
    async with aclosing(await parts.speech.speak(a_request(voice=await enrolled(parts)))) as speech:
        assert speech.timings.row.queue_seconds >= 0
        assert speech.timings.row.synthesis_seconds > 0
        assert 0 <= speech.timings.voice_seconds < 5


async def test_clients_that_leave_before_their_voice_is_extracted_leave_no_work_behind() -> None:
    async with built_parts(StubEngine(encode_fixed_seconds=0.3), max_pending_seconds=1.0) as parts:
        voices = [await parts.voices.enrol(TENANT, "reader", VoiceUpload(recorded(HIS_VOICE)))]
        parts.features.forget(voices[0].digest)
        running = asyncio.ensure_future(
            parts.dispatcher.extract(Reference(Pcm(np.ones(240_000, np.float32), 24_000), "busy"))
        )
        await asyncio.sleep(0)
        request = SpeechRequest(tenant=TENANT, text="Who waits for me?", voice=voices[0].id)
        leaver = asyncio.ensure_future(parts.speech.speak(request))
        while parts.dispatcher.pending_requests < 2:  # noqa: ASYNC110 - the queue tells nobody when it grows
            await asyncio.sleep(0)
        leaver.cancel()
        await asyncio.wait([leaver])
        await running
        await parts.dispatcher.drained()
        assert parts.memory.entries == 0
