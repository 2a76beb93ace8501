"""What was asked for is counted once, when it comes, and whether or not it is served."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing

import pytest

from tests.server.service.parts import HER_VOICE, HIS_VOICE, Parts, built_parts, recorded
from timbre_server.engine.stub import StubEngine
from timbre_server.errors import Overloaded, TextTooLong, VoiceNotFound
from timbre_server.service.demand import PREPARATIONS_WEIGHT, Demand, DemandKind
from timbre_server.service.speech import SpeechRequest
from timbre_server.service.voices import VoiceUpload

TENANT = "tenant"
JOB_SECONDS = 0.022
"""What the stub engine predicts for one sentence."""


def a_request(text: str = "One sentence.", *, voice: str = "alloy", retry: bool = False) -> SpeechRequest:
    return SpeechRequest(tenant=TENANT, text=text, voice=voice, retry=retry)


async def spoken(parts: Parts, request: SpeechRequest) -> None:
    async with aclosing(await parts.speech.speak(request)) as speech:
        async for _ in speech.samples():
            pass


async def a_cold_voice(parts: Parts) -> str:
    """An enrolled voice whose features are gone; its own demand is forgotten."""
    record = await parts.voices.enrol(TENANT, "a voice", VoiceUpload(recorded(HIS_VOICE)))
    parts.features.forget(record.digest)
    parts.demanded.clear()
    return record.id


def kinds(parts: Parts) -> Counter[str]:
    return Counter(kind for kind, _ in parts.demanded)


async def test_all_sentences_of_a_request_count_when_it_comes(parts: Parts) -> None:
    await spoken(parts, a_request("One. Two. Three."))

    assert parts.demanded == [("synthesis", pytest.approx(3 * JOB_SECONDS))]


async def test_a_request_that_is_refused_because_much_is_pending_counts() -> None:
    async with built_parts(StubEngine(), max_pending_seconds=1.0) as parts:
        permit = parts.dispatcher.admit(2.0)
        with pytest.raises(Overloaded):
            await parts.speech.speak(a_request())
        permit.release()

        assert kinds(parts)["synthesis"] == 1


async def test_a_retry_counts_nothing_even_if_its_voice_is_extracted(parts: Parts) -> None:
    voice = await a_cold_voice(parts)
    await spoken(parts, a_request(voice=voice, retry=True))

    assert parts.demanded == []


@pytest.mark.parametrize(
    ("request_", "error"), [(a_request("x" * 5000), TextTooLong), (a_request(voice="nobody"), VoiceNotFound)]
)
async def test_a_request_that_nobody_could_serve_counts_nothing(
    parts: Parts, request_: SpeechRequest, error: type[Exception]
) -> None:
    with pytest.raises(error):
        await parts.speech.speak(request_)

    assert parts.demanded == []


async def test_an_extraction_counts_once_for_all_who_wait_for_it(parts: Parts) -> None:
    voice = await a_cold_voice(parts)
    await asyncio.gather(*(spoken(parts, a_request(voice=voice)) for _ in range(5)))

    assert kinds(parts) == {"synthesis": 5, "extraction": 1}
    assert dict(parts.demanded)["extraction"] > 0


async def test_a_voice_in_memory_needs_no_preparation(parts: Parts) -> None:
    voice = await a_cold_voice(parts)
    await spoken(parts, a_request(voice=voice))
    parts.demanded.clear()
    await spoken(parts, a_request(voice=voice))

    assert kinds(parts) == {"synthesis": 1}


async def test_an_enrolment_asks_for_an_extraction(parts: Parts) -> None:
    await parts.voices.enrol(TENANT, "a voice", VoiceUpload(recorded(HIS_VOICE)))
    await parts.voices.enrol(TENANT, "the same recording", VoiceUpload(recorded(HIS_VOICE)))

    assert kinds(parts) == {"extraction": 1}


async def test_an_enrolment_that_is_refused_counts_and_its_retry_does_not() -> None:
    async with built_parts(StubEngine(), max_pending_seconds=1.0) as parts:
        permit = parts.dispatcher.admit(2.0)
        with pytest.raises(Overloaded):
            await parts.voices.enrol(TENANT, "a voice", VoiceUpload(recorded(HER_VOICE)))
        permit.release()
        await parts.voices.enrol(TENANT, "a voice", VoiceUpload(recorded(HER_VOICE), retry=True))

        assert kinds(parts) == {"extraction": 1}


async def test_a_refused_request_is_believed_to_need_what_others_needed(parts: Parts) -> None:
    counted: list[tuple[str, float]] = []
    demand = Demand(parts.dispatcher, lambda kind, seconds: counted.append((kind, seconds)))
    for number in range(1000):  # every fourth voice is extracted, the others come from the shared tier
        demand.arrived([JOB_SECONDS])
        if number % 4:
            demand.transfer(0.015)
        else:
            demand.extraction(2.8)
    for _ in range(100):
        demand.arrived([JOB_SECONDS])
        demand.refused()

    refused = counted[-300:]
    assert sum(seconds for kind, seconds in refused if kind == DemandKind.EXTRACTION) == pytest.approx(70, rel=0.05)
    assert sum(seconds for kind, seconds in refused if kind == DemandKind.TRANSFER) == pytest.approx(1.125, rel=0.05)
    assert sum(kind == DemandKind.SYNTHESIS for kind, _ in refused) == 100


def test_the_mean_preparation_is_that_of_the_last_fifty_requests() -> None:
    assert 1 / PREPARATIONS_WEIGHT == 50
