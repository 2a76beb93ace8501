"""``/v1/audio/voice_consents`` through OpenAI's client, and what a consent is needed for."""

from __future__ import annotations

import base64
from collections.abc import Iterator

import openai
import pytest
from openai import OpenAI

from tests.server.api.served import Served, running
from tests.server.service.parts import HER_VOICE, HIS_OTHER_TAKE, HIS_VOICE, NOW, recorded


@pytest.fixture(scope="module")
def strict() -> Iterator[OpenAI]:
    """A client of a server that requires consents."""
    with running(Served(require_consent=True)) as server, server.client() as openai_client:
        yield openai_client


def consent_by(client: OpenAI, recording: str, name: str = "his consent") -> str:
    return client.audio.voice_consents.create(
        name=name, language="en-US", recording=("consent.flac", recorded(recording), "audio/flac")
    ).id


def test_a_consent_has_openais_shape(client: OpenAI) -> None:
    consent = client.audio.voice_consents.create(
        name="Zoë", language="en-US", recording=("consent.flac", recorded(HIS_VOICE), "audio/flac")
    )
    assert consent.id.startswith("cons_")
    assert (consent.object, consent.name, consent.language, consent.created_at) == (
        "audio.voice_consent",
        "Zoë",
        "en-US",
        int(NOW),
    )
    assert client.audio.voice_consents.retrieve(consent.id) == consent


def test_a_consent_can_be_renamed_and_erased(client: OpenAI) -> None:
    consent_id = consent_by(client, HIS_VOICE)
    assert client.audio.voice_consents.update(consent_id, name="another name").name == "another name"
    assert client.audio.voice_consents.retrieve(consent_id).name == "another name"
    deleted = client.audio.voice_consents.delete(consent_id)
    assert (deleted.id, deleted.deleted, deleted.object) == (consent_id, True, "audio.voice_consent")
    with pytest.raises(openai.NotFoundError) as caught:
        client.audio.voice_consents.retrieve(consent_id)
    assert caught.value.code == "consent_not_found"


def test_the_client_pages_through_all_consents(fresh: Served) -> None:
    with fresh.client() as client:
        ids = [consent_by(client, HIS_VOICE) for _ in range(3)]
        assert [consent.id for consent in client.audio.voice_consents.list(limit=2)] == ids[::-1]


def test_a_language_that_is_no_tag_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.voice_consents.create(name="x", language="English!", recording=("a.flac", recorded(HIS_VOICE)))
    assert (caught.value.code, caught.value.param) == ("invalid_value", "language")


def test_a_recording_that_is_no_audio_is_refused_with_its_field(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.voice_consents.create(name="x", language="en", recording=("a.flac", b"no audio"))
    assert (caught.value.code, caught.value.param) == ("audio_unreadable", "recording")


def test_a_new_name_that_is_too_long_is_refused(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.voice_consents.update(consent_by(client, HIS_VOICE), name="x" * 65)
    assert caught.value.param == "name"


def test_where_consent_is_required_a_voice_without_one_is_refused(strict: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        strict.audio.voices.create(name="x", audio_sample=("a.flac", recorded(HIS_VOICE)), consent="")
    assert (caught.value.code, caught.value.param) == ("consent_required", "consent")


def test_where_consent_is_required_a_one_off_voice_is_refused(strict: OpenAI) -> None:
    reference = {"reference_audio": base64.b64encode(recorded(HIS_VOICE)).decode()}
    with pytest.raises(openai.BadRequestError) as caught:
        strict.audio.speech.create(model="tts-1", voice="alloy", input="Hello.", extra_body=reference)
    assert (caught.value.code, caught.value.param) == ("consent_required", "reference_audio")


def test_the_consent_of_the_same_speaker_enrols_a_voice(strict: OpenAI) -> None:
    consent = consent_by(strict, HIS_OTHER_TAKE)
    voice = strict.audio.voices.create(name="x", audio_sample=("a.flac", recorded(HIS_VOICE)), consent=consent)
    assert strict.audio.speech.create(model="tts-1", voice=voice.id, input="Hello.").content


@pytest.mark.parametrize("required", [True, False])
def test_the_consent_of_another_speaker_does_not(strict: OpenAI, client: OpenAI, *, required: bool) -> None:
    used = strict if required else client
    consent = consent_by(used, HER_VOICE)
    with pytest.raises(openai.BadRequestError) as caught:
        used.audio.voices.create(name="x", audio_sample=("a.flac", recorded(HIS_VOICE)), consent=consent)
    assert (caught.value.code, caught.value.param) == ("consent_speaker_mismatch", "consent")
