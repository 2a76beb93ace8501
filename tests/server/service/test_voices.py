"""Voices: what is stored can speak, and what is replaced or erased is gone."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.service.parts import HER_VOICE, HIS_OTHER_TAKE, HIS_VOICE, NOW, Parts, built_parts, recorded
from timbre_server.audio.flac import from_flac
from timbre_server.engine.stub import StubEngine
from timbre_server.errors import (
    AudioTooShort,
    AudioUnreadable,
    ConsentMismatch,
    ConsentNotFound,
    ConsentRequired,
    InvalidValue,
    Overloaded,
    RegistryFull,
    VoiceNotFound,
)
from timbre_server.service.voices import VoiceUpload

TENANT = "tenant"
HIS = VoiceUpload(recorded(HIS_VOICE))
HERS = VoiceUpload(recorded(HER_VOICE))


async def test_a_record_holds_the_recording_and_its_digest(parts: Parts) -> None:
    voice = await parts.voices.enrol(TENANT, " narrator ", VoiceUpload(recorded(HIS_VOICE), transcript="what he says"))
    assert (voice.id, voice.name, voice.generation, voice.transcript) == ("voice_0001", "narrator", 1, "what he says")
    assert (voice.created_at, voice.updated_at) == (int(NOW), int(NOW))
    reference = await parts.store.reference(TENANT, voice.id, voice.digest)
    assert from_flac(reference).duration_seconds > 5
    assert await parts.voices.voice(TENANT, voice.id) == voice


async def test_the_features_are_there_before_the_answer(parts: Parts) -> None:
    voice = await parts.voices.enrol(TENANT, "x", HIS)
    assert [digest for batch in parts.engine.encodings for digest in batch] == [voice.digest]


async def test_enrolments_and_replacements_are_no_look_ups(parts: Parts) -> None:
    voice = await parts.voices.enrol(TENANT, "x", HIS)
    await parts.voices.enrol(TENANT, "y", HIS)
    await parts.voices.replace(TENANT, voice.id, HERS)
    assert (parts.memory.hits, parts.memory.misses) == (0, 0)


async def test_the_same_take_in_two_voices_is_extracted_once(parts: Parts) -> None:
    first = await parts.voices.enrol(TENANT, "x", HIS)
    second = await parts.voices.enrol(TENANT, "y", HIS)
    assert first.digest == second.digest
    assert len(parts.engine.encodings) == 1


async def test_a_recording_that_cannot_serve_stores_nothing(parts: Parts) -> None:
    with pytest.raises(AudioUnreadable) as caught:
        await parts.voices.enrol(TENANT, "x", VoiceUpload(b"no audio"))
    assert caught.value.param == "audio_sample"
    assert await parts.voices.page(TENANT, after=None, limit=10) == ([], False)


async def test_a_recording_that_the_engine_finds_too_short_stores_nothing(parts: Parts) -> None:
    parts.engine.min_voiced_seconds = 60.0  # stricter than the check at the door
    with pytest.raises(AudioTooShort):
        await parts.voices.enrol(TENANT, "x", HIS)
    assert await parts.voices.page(TENANT, after=None, limit=10) == ([], False)
    assert parts.dispatcher.pending_work_seconds == 0


async def test_a_full_queue_refuses_an_enrolment(parts: Parts) -> None:
    permit = parts.dispatcher.admit(59.99)
    with pytest.raises(Overloaded):
        await parts.voices.enrol(TENANT, "x", HIS)
    permit.release()


async def test_a_bad_name_is_refused_before_the_recording_is_looked_at(parts: Parts) -> None:
    with pytest.raises(InvalidValue):
        await parts.voices.enrol(TENANT, "", VoiceUpload(b"no audio"))


async def test_a_replacement_is_the_next_generation_and_the_old_features_go(parts: Parts) -> None:
    before = await parts.voices.enrol(TENANT, "x", HIS)
    parts.clock[0] += 60
    after = await parts.voices.replace(TENANT, before.id, HERS)
    assert (after.id, after.name, after.generation) == (before.id, "x", 2)
    assert (after.created_at, after.updated_at) == (int(NOW), int(NOW) + 60)
    assert after.digest != before.digest
    await parts.voices.enrol(TENANT, "again", HIS)
    extracted = [digest for batch in parts.engine.encodings for digest in batch]
    assert extracted == [before.digest, after.digest, before.digest]


async def test_the_same_recording_again_is_a_generation_without_an_extraction(parts: Parts) -> None:
    before = await parts.voices.enrol(TENANT, "x", HIS)
    after = await parts.voices.replace(TENANT, before.id, HIS)
    assert (after.generation, after.digest) == (2, before.digest)
    assert len(parts.engine.encodings) == 1


async def test_two_replacements_at_once_leave_the_features_of_one_recording(parts: Parts) -> None:
    voice = await parts.voices.enrol(TENANT, "x", HIS)
    others = [HERS, VoiceUpload(recorded(HIS_OTHER_TAKE))]
    after = await asyncio.gather(*(parts.voices.replace(TENANT, voice.id, upload) for upload in others))
    assert sorted(each.generation for each in after) == [2, 3]
    alone = parts.memory.held_bytes
    await parts.voices.delete(TENANT, voice.id)
    assert alone > 0
    assert parts.memory.held_bytes == 0


async def test_a_voice_that_is_deleted_while_it_is_replaced_leaves_no_features(parts: Parts) -> None:
    voice = await parts.voices.enrol(TENANT, "x", HIS)
    replacing = asyncio.create_task(parts.voices.replace(TENANT, voice.id, HERS))
    await asyncio.sleep(0)  # it has seen the voice, and waits for its recording to be decoded
    await parts.voices.delete(TENANT, voice.id)
    with pytest.raises(VoiceNotFound):
        await replacing
    assert len(parts.engine.encodings) == 2
    assert parts.memory.held_bytes == 0


async def test_a_full_store_leaves_no_features() -> None:
    async with built_parts(StubEngine(sleep=lambda _: None), max_stored_bytes=1) as parts:
        with pytest.raises(RegistryFull):
            await parts.voices.enrol(TENANT, "x", HIS)
        assert len(parts.engine.encodings) == 1
        assert parts.memory.held_bytes == 0


async def test_features_of_a_recording_that_found_no_voice_are_erased_for_all_pods(parts: Parts) -> None:
    voice = await parts.voices.enrol(TENANT, "x", HIS)
    erased: list[str] = []

    async def erase(digest: str) -> int:
        erased.append(digest)
        return 1

    parts.features.erase = erase  # type: ignore[method-assign]  # the shared tier, which a lone server has not
    replacing = asyncio.create_task(parts.voices.replace(TENANT, voice.id, HERS))
    await asyncio.sleep(0)  # it has seen the voice, and waits for its recording to be decoded
    await parts.store.delete_voice(TENANT, voice.id)
    with pytest.raises(VoiceNotFound):
        await replacing
    (hers,) = [digest for batch in parts.engine.encodings for digest in batch if digest != voice.digest]
    assert hers in erased


async def test_replacing_nobody_is_not_found_before_the_recording_is_looked_at(parts: Parts) -> None:
    with pytest.raises(VoiceNotFound):
        await parts.voices.replace(TENANT, "voice_nobody", VoiceUpload(b"no audio"))


async def test_a_deleted_voice_leaves_no_features(parts: Parts) -> None:
    voice = await parts.voices.enrol(TENANT, "x", HIS)
    await parts.voices.delete(TENANT, voice.id)
    assert parts.memory.held_bytes == 0
    with pytest.raises(VoiceNotFound):
        await parts.voices.voice(TENANT, voice.id)


async def test_a_tenant_sees_and_deletes_only_its_own(parts: Parts) -> None:
    voice = await parts.voices.enrol(TENANT, "x", HIS)
    assert await parts.voices.page("other", after=None, limit=10) == ([], False)
    with pytest.raises(VoiceNotFound):
        await parts.voices.delete("other", voice.id)


async def test_the_built_in_voices_are_listed_by_name(parts: Parts) -> None:
    assert list(parts.voices.presets()) == sorted(parts.engine.preset_voices())


async def a_consent(parts: Parts, recording: str) -> str:
    return (await parts.consents.add(TENANT, "consent", "en", recorded(recording))).id


async def test_where_consent_is_required_a_voice_needs_one_by_its_speaker(strict: Parts) -> None:
    with pytest.raises(ConsentRequired):
        await strict.voices.enrol(TENANT, "x", HIS)
    with pytest.raises(ConsentMismatch):
        await strict.voices.enrol(TENANT, "x", VoiceUpload(HIS.audio, await a_consent(strict, HER_VOICE)))
    consent = await a_consent(strict, HIS_OTHER_TAKE)
    assert (await strict.voices.enrol(TENANT, "x", VoiceUpload(HIS.audio, consent))).consent_id == consent


async def test_a_replacement_is_bound_by_the_consent_of_the_voice(strict: Parts) -> None:
    consent = await a_consent(strict, HIS_OTHER_TAKE)
    voice = await strict.voices.enrol(TENANT, "x", VoiceUpload(HIS.audio, consent))
    with pytest.raises(ConsentMismatch):
        await strict.voices.replace(TENANT, voice.id, HERS)
    assert (await strict.voices.voice(TENANT, voice.id)).generation == 1
    hers = VoiceUpload(HERS.audio, await a_consent(strict, HER_VOICE))
    assert (await strict.voices.replace(TENANT, voice.id, hers)).consent_id == hers.consent_id


async def test_a_replacement_under_a_withdrawn_consent_is_refused(strict: Parts) -> None:
    consent = await a_consent(strict, HIS_OTHER_TAKE)
    voice = await strict.voices.enrol(TENANT, "x", VoiceUpload(HIS.audio, consent))
    await strict.consents.delete(TENANT, consent)
    with pytest.raises(ConsentNotFound):
        await strict.voices.replace(TENANT, voice.id, HIS)


async def test_a_consent_that_is_not_required_is_checked_all_the_same(parts: Parts) -> None:
    with pytest.raises(ConsentMismatch):
        await parts.voices.enrol(TENANT, "x", VoiceUpload(HIS.audio, await a_consent(parts, HER_VOICE)))
    with pytest.raises(ConsentNotFound) as caught:
        await parts.voices.enrol(TENANT, "x", VoiceUpload(HIS.audio, "cons_nobody"))
    assert caught.value.param == "consent"
