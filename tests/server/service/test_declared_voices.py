"""Voices that are declared under a fixed id: there as declared, however often and on however many pods."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.service.parts import HER_VOICE, HIS_OTHER_TAKE, HIS_VOICE, Parts, recorded
from timbre_server.errors import AudioUnreadable, ConsentRequired, InvalidValue, Overloaded, VoiceNotFound
from timbre_server.service.voices import Declared, VoiceUpload

TENANT = "tenant"
ANN = "voice_ann"
HIS = VoiceUpload(recorded(HIS_VOICE))
HERS = VoiceUpload(recorded(HER_VOICE))


async def test_a_missing_voice_is_enrolled_under_its_id_and_ready_to_speak(parts: Parts) -> None:
    assert await parts.voices.declare(TENANT, ANN, " Ann ", HERS) is Declared.ENROLLED
    voice = await parts.voices.voice(TENANT, ANN)
    assert (voice.id, voice.name, voice.generation) == (ANN, "Ann", 1)
    assert [digest for batch in parts.engine.encodings for digest in batch] == [voice.digest]


async def test_a_voice_that_is_there_stays_as_it_is(parts: Parts) -> None:
    await parts.voices.declare(TENANT, ANN, "Ann", HERS)
    before = await parts.voices.voice(TENANT, ANN)
    parts.clock[0] += 100
    assert await parts.voices.declare(TENANT, ANN, "Ann", HERS) is Declared.PRESENT
    assert await parts.voices.voice(TENANT, ANN) == before
    assert len(parts.engine.encodings) == 1


async def test_another_recording_is_the_next_generation_and_the_old_features_go(parts: Parts) -> None:
    await parts.voices.declare(TENANT, ANN, "Ann", HIS)
    held = parts.memory.held_bytes
    parts.clock[0] += 100
    assert await parts.voices.declare(TENANT, ANN, "Ann", VoiceUpload(recorded(HIS_OTHER_TAKE))) is Declared.REPLACED
    voice = await parts.voices.voice(TENANT, ANN)
    assert (voice.generation, voice.updated_at - voice.created_at) == (2, 100)
    assert parts.memory.held_bytes == held


async def test_other_words_about_the_same_recording_are_the_next_generation(parts: Parts) -> None:
    await parts.voices.declare(TENANT, ANN, "Ann", HERS)
    said = VoiceUpload(HERS.audio, transcript="what she says")
    assert await parts.voices.declare(TENANT, ANN, "Ann", said) is Declared.REPLACED
    voice = await parts.voices.voice(TENANT, ANN)
    assert (voice.generation, voice.transcript) == (2, "what she says")


async def test_what_was_replaced_by_hand_becomes_what_is_declared(parts: Parts) -> None:
    await parts.voices.declare(TENANT, ANN, "Ann", HERS)
    await parts.voices.replace(TENANT, ANN, HIS)
    assert await parts.voices.declare(TENANT, ANN, "Ann", HERS) is Declared.REPLACED
    assert (await parts.voices.voice(TENANT, ANN)).generation == 3


async def test_what_was_deleted_by_hand_comes_back_as_a_later_generation(parts: Parts) -> None:
    await parts.voices.declare(TENANT, ANN, "Ann", HERS)
    await parts.voices.delete(TENANT, ANN)
    assert await parts.voices.declare(TENANT, ANN, "Ann", HERS) is Declared.ENROLLED
    assert (await parts.voices.voice(TENANT, ANN)).generation == 2


async def test_two_that_declare_at_once_make_one_voice_that_can_speak(parts: Parts) -> None:
    became = await asyncio.gather(*(parts.voices.declare(TENANT, ANN, "Ann", HERS) for _ in range(2)))
    assert sorted(became) == [Declared.ENROLLED, Declared.PRESENT]
    voice = await parts.voices.voice(TENANT, ANN)
    assert voice.generation == 1
    assert parts.memory.held_bytes > 0


async def test_a_bad_recording_leaves_the_voice_that_is_there(parts: Parts) -> None:
    await parts.voices.declare(TENANT, ANN, "Ann", HERS)
    before = await parts.voices.voice(TENANT, ANN)
    with pytest.raises(AudioUnreadable):
        await parts.voices.declare(TENANT, ANN, "Ann", VoiceUpload(b"no audio"))
    assert await parts.voices.voice(TENANT, ANN) == before


async def test_a_bad_name_declares_nothing(parts: Parts) -> None:
    with pytest.raises(InvalidValue):
        await parts.voices.declare(TENANT, ANN, "", HERS)
    with pytest.raises(VoiceNotFound):
        await parts.voices.voice(TENANT, ANN)


async def test_a_busy_server_declares_later(parts: Parts) -> None:
    permit = parts.dispatcher.admit(59.99)
    with pytest.raises(Overloaded):
        await parts.voices.declare(TENANT, ANN, "Ann", HERS)
    permit.release()
    assert await parts.voices.declare(TENANT, ANN, "Ann", HERS) is Declared.ENROLLED


async def test_a_strict_server_asks_for_the_consent_of_a_declared_voice_too(strict: Parts) -> None:
    with pytest.raises(ConsentRequired):
        await strict.voices.declare(TENANT, ANN, "Ann", HERS)
