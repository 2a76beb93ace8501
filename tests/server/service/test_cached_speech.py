"""Speaking, unless it was said before: over the real queue, a stub engine and a real cache."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from urllib.parse import parse_qsl, urlsplit

import numpy as np
import pytest

from tests.server.service.parts import HER_VOICE, HIS_VOICE, Parts, built_parts, recorded
from tests.server.service.test_cancellation import check_nothing_is_left, left_at
from timbre_server.audio.quantisation import from_int16, to_int16
from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import AudioFormat, SpeechParameters
from timbre_server.domain.voice import VoiceRecord
from timbre_server.engine.stub import StubEngine
from timbre_server.errors import NotKept, TextTooLong, UnspeakableText, VoiceNotFound
from timbre_server.ports import CacheWish
from timbre_server.resultcache.link_sealing import LinkKeys
from timbre_server.resultcache.privacy import PrivateTexts
from timbre_server.service.casting import OneOffReference
from timbre_server.service.links import SpeechLinks
from timbre_server.service.speech import SpeechRequest
from timbre_server.service.voices import VoiceUpload

TENANT = "tenant"
TEXT = "The first sentence. And a second one, so that there is more than one job."


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    engine = StubEngine(
        fixed_seconds=0.001, per_job_seconds=0, encode_fixed_seconds=0.001, encode_per_reference_seconds=0, pieces=2
    )
    async with built_parts(engine, keeps_results=True) as parts:
        yield parts


def a_request(text: str = TEXT, voice: str | None = "alloy", **changes: object) -> SpeechRequest:
    return SpeechRequest(tenant=TENANT, text=text, voice=voice, **changes)  # type: ignore[arg-type]


async def heard(parts: Parts, request: SpeechRequest, wish: CacheWish | None = None) -> tuple[str, Samples]:
    """Where it came from, and all of it."""
    take = await (await parts.cached.asked(request, wish or CacheWish())).take()
    async with aclosing(take):
        return take.outcome, np.concatenate([piece async for piece in take.samples()])


async def enrolled(parts: Parts, recording: str = HIS_VOICE) -> str:
    return (await parts.voices.enrol(TENANT, "a voice", VoiceUpload(recorded(recording)))).id


async def test_a_hit_asks_nothing_of_the_engine(parts: Parts) -> None:
    first = await heard(parts, a_request())
    demanded = list(parts.demanded)
    second = await heard(parts, a_request())
    assert (first[0], second[0]) == ("miss", "hit")
    np.testing.assert_array_equal(first[1], second[1])
    assert parts.demanded == demanded
    assert demanded


async def test_equal_requests_at_once_demand_what_one_does(parts: Parts) -> None:
    await heard(parts, a_request("Something else."))
    alone = len(parts.demanded)
    heards = await asyncio.gather(*(heard(parts, a_request()) for _ in range(10)))
    assert sorted(outcome for outcome, _ in heards) == ["coalesced"] * 9 + ["miss"]
    assert len(parts.demanded) == 2 * alone


@pytest.mark.parametrize(
    "change",
    [
        {"speed": 1.01},
        {"emotion": "happy"},
        {"pitch_semitones": 1.0},
        {"language": "en"},
        {"instructions": "Whisper."},
        {"seed": 7},
    ],
    ids=str,
)
async def test_the_same_words_said_otherwise_are_made(parts: Parts, change: dict[str, object]) -> None:
    await heard(parts, a_request())
    changed = a_request(parameters=SpeechParameters(**change))  # type: ignore[arg-type]
    assert (await heard(parts, changed))[0] == "miss"


async def test_a_region_of_a_language_is_not_heard(parts: Parts) -> None:
    outcomes = [
        (await heard(parts, a_request(parameters=SpeechParameters(language=tag))))[0] for tag in ("en", "en-GB", "EN")
    ]
    assert outcomes == ["miss", "hit", "hit"]


async def test_speeds_beyond_the_engines_range_are_told_apart(parts: Parts) -> None:
    lengths = []
    for speed in (2.0, 4.0):
        outcome, samples = await heard(parts, a_request(parameters=SpeechParameters(speed=speed)))
        assert outcome == "miss"
        lengths.append(len(samples))
    assert lengths[0] == pytest.approx(2 * lengths[1], rel=0.05)


async def test_two_tenants_share_nothing(parts: Parts) -> None:
    await heard(parts, a_request())
    assert (await heard(parts, SpeechRequest(tenant="other", text=TEXT, voice="alloy")))[0] == "miss"


async def test_a_voice_that_was_replaced_is_heard_at_once(parts: Parts) -> None:
    voice = await enrolled(parts, HIS_VOICE)
    before = await heard(parts, a_request(voice=voice))
    await parts.voices.replace(TENANT, voice, VoiceUpload(recorded(HER_VOICE)))
    after = await heard(parts, a_request(voice=voice))
    assert after[0] == "miss"
    assert not np.array_equal(before[1], after[1])


async def test_what_is_spoken_with_a_newer_recording_is_not_kept_under_the_older_one(parts: Parts) -> None:
    voice = await enrolled(parts, HIS_VOICE)
    asked = await parts.cached.asked(a_request(voice=voice), CacheWish())
    await parts.voices.replace(TENANT, voice, VoiceUpload(recorded(HER_VOICE)))
    async with aclosing(await asked.take()) as take:
        samples = np.concatenate([piece async for piece in take.samples()])
    assert take.id == ""
    assert parts.results is not None
    assert parts.results.report()["entries"] == 0
    outcome, again = await heard(parts, a_request(voice=voice))
    assert outcome == "miss"
    np.testing.assert_array_equal(samples, again)


async def test_a_deleted_voice_cannot_be_heard_from_what_was_said(parts: Parts) -> None:
    voice = await enrolled(parts)
    await heard(parts, a_request(voice=voice))
    receipt = await parts.voices.delete(TENANT, voice)
    assert receipt.complete
    assert parts.results is not None
    assert parts.results.report()["entries"] == 0
    with pytest.raises(VoiceNotFound):
        await heard(parts, a_request(voice=voice))


async def test_nothing_that_a_voice_says_of_itself_outlives_it_in_what_is_known_of_a_request(parts: Parts) -> None:
    upload = VoiceUpload(recorded(HIS_VOICE), transcript="What he says.")
    voice = await parts.voices.enrol(TENANT, "his", upload)
    recall = (await parts.cached.asked(a_request(voice=voice.id), CacheWish())).recall
    assert recall is not None
    assert recall.voice == voice.id
    assert voice.transcript == upload.transcript
    assert upload.transcript not in repr(recall)


async def test_what_was_erased_while_a_voice_was_looked_up_is_known_before_anything_is_kept(parts: Parts) -> None:
    request, look_up = a_request(voice=await enrolled(parts)), parts.store.voice

    async def erased_meanwhile(tenant: str, voice_id: str) -> VoiceRecord:
        assert parts.results is not None
        record = await look_up(tenant, voice_id)
        parts.results.forget(record.digest)
        return record

    parts.store.voice = erased_meanwhile  # type: ignore[method-assign]
    take = await (await parts.cached.asked(request, CacheWish())).take()
    assert (take.outcome, take.id) == ("miss", "")
    await take.aclose()


async def test_a_deletion_is_confirmed_once_nobody_listens_to_what_was_kept(parts: Parts) -> None:
    voice = await enrolled(parts)
    await heard(parts, a_request(voice=voice))
    asked = await parts.cached.asked(a_request(voice=voice), CacheWish())
    take = asked.at_hand(AudioFormat.WAV)
    assert take is not None
    deleting = asyncio.create_task(parts.voices.delete(TENANT, voice))
    done, _ = await asyncio.wait({deleting}, timeout=0.05)
    assert not done
    await take.aclose()
    assert (await deleting).pods.acknowledged == ("alone",)


@pytest.mark.parametrize("wish", [CacheWish(keep=False), CacheWish()], ids=["no-store", "its own recording"])
async def test_what_leaves_no_trace_is_neither_kept_nor_looked_for(parts: Parts, wish: CacheWish) -> None:
    reference = OneOffReference(recorded(HIS_VOICE)) if wish.keep else None
    request = a_request(reference=reference)
    assert [(await heard(parts, request, wish))[0] for _ in range(2)] == ["bypass", "bypass"]
    assert parts.results is not None
    assert parts.results.report()["entries"] == 0
    with pytest.raises(NotKept):
        await heard(parts, request, CacheWish(keep=wish.keep, only_kept=True))


async def test_a_private_text_is_made_each_time_and_never_looked_for(parts: Parts) -> None:
    assert parts.results is not None
    await heard(parts, a_request("Call 030 1234567."))
    parts.results._is_private = PrivateTexts()
    for _ in range(2):
        asked = await parts.cached.asked(a_request("Call 030 1234567."), CacheWish())
        assert await asked.found() is None
        assert asked.recall is None
        take = await asked.take()
        assert (take.outcome, take.id, take.kept_as) == ("bypass", "", None)
        await take.aclose()
    assert len(parts.results._memory._entries) == 1


async def test_what_was_said_for_somebody_who_does_not_wait_is_heard_by_a_link(parts: Parts) -> None:
    links = SpeechLinks(LinkKeys([b"k" * 32]), 60, lambda: parts.clock[0])
    asked = await parts.cached.asked(a_request(voice=await enrolled(parts)), CacheWish())
    async with aclosing(await asked.take()) as take:
        speech = np.concatenate([piece async for piece in take.samples()])
        assert asked.recall is not None
        assert take.kept_as is not None
        link = urlsplit(links.link(asked.recall, take.kept_as, AudioFormat.WAV))
    query = dict(parse_qsl(link.query))
    linked = links.read(link.path, expires=query["expires"], signature=query["signature"])
    async with aclosing(await parts.cached.linked(linked)) as found:
        assert found.id == take.id
        again = np.concatenate([piece async for piece in found.samples()])
    assert np.array_equal(again, from_int16(to_int16(speech)))


async def test_without_a_cache_everything_is_made() -> None:
    async with built_parts(StubEngine(sleep=lambda _: None)) as parts:
        assert [(await heard(parts, a_request()))[0] for _ in range(2)] == ["bypass", "bypass"]


@pytest.mark.parametrize(
    ("text", "error"),
    [("", UnspeakableText), ("?!", UnspeakableText), ("x" * 4097, TextTooLong)],
    ids=["empty", "signs", "too long"],
)
async def test_what_is_refused_is_refused_each_time(parts: Parts, text: str, error: type[Exception]) -> None:
    for _ in range(2):
        with pytest.raises(error) as caught:
            await heard(parts, a_request(text))
        assert getattr(caught.value, "param", None) == "input"


async def test_a_listener_may_leave_at_any_moment(parts: Parts) -> None:
    voice = await enrolled(parts)
    digest = (await parts.voices.voice(TENANT, voice)).digest
    assert parts.results is not None
    step = 0
    while await left_at(_listen(parts, voice), step):
        await parts.dispatcher.drained()
        parts.results.check_integrity()
        assert parts.dispatcher.pending_work_seconds == 0
        parts.results.forget(digest)
        step += 1
    assert step >= 2
    async with asyncio.timeout(10):
        await parts.results.erase(digest)
        await parts.results.unused(digest)
    await check_nothing_is_left(parts)


async def _listen(parts: Parts, voice: str) -> None:
    await heard(parts, a_request(voice=voice))
