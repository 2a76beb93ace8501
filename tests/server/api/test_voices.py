"""``/v1/audio/voices`` through OpenAI's client, and plain HTTP for what it has no method for."""

from __future__ import annotations

import httpx2
import openai
import pytest
from openai import OpenAI

from tests.server.api.heard import heard, tone_hz
from tests.server.api.served import MAX_UPLOAD_BYTES, Served
from tests.server.service.parts import HER_VOICE, HIS_VOICE, NOW, recorded
from timbre_server.api.bodies import MAX_TRANSCRIPT_CHARS
from timbre_server.domain.speech import AudioFormat

VOICES = "/v1/audio/voices"


def enrol(client: OpenAI, recording: str = HIS_VOICE, name: str = "narrator") -> str:
    sample = ("sample.flac", recorded(recording), "audio/flac")
    return client.audio.voices.create(name=name, audio_sample=sample, consent="").id


def tone_of(client: OpenAI, voice_id: str) -> float:
    answer = client.audio.speech.create(model="tts-1", voice={"id": voice_id}, input="Hello.", response_format="pcm")
    return tone_hz(heard(answer.content, AudioFormat.PCM))


def test_an_enrolled_voice_has_openais_shape_and_speaks_at_once(client: OpenAI) -> None:
    sample = ("sample.flac", recorded(HIS_VOICE), "audio/flac")
    voice = client.audio.voices.create(name="narrator", audio_sample=sample, consent="")
    assert voice.id.startswith("voice_")
    assert (voice.object, voice.name, voice.type, voice.created_at) == (
        "audio.voice",
        "narrator",
        "audio_sample",
        int(NOW),
    )
    spoken = client.audio.speech.create(model="tts-1", voice={"id": voice.id}, input="Hello.")
    assert spoken.response.headers["x-voice-cache"] == "host"  # extracted at its enrolment


def test_a_voice_goes_by_its_id_as_a_string_too(client: OpenAI) -> None:
    voice_id = enrol(client)
    assert client.audio.speech.create(model="tts-1", voice=voice_id, input="Hello.").content


@pytest.mark.parametrize("name", ["Zoë", "旁白", "говорящий", "🎙️ host"])
def test_names_may_be_of_any_script(client: OpenAI, http: httpx2.Client, name: str) -> None:
    voice_id = enrol(client, name=name)
    assert http.get(f"{VOICES}/{voice_id}").json()["name"] == name


@pytest.mark.parametrize("name", ["", "   ", "x" * 65, "a\nb"])
def test_names_are_short_and_printable(client: OpenAI, name: str) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        enrol(client, name=name)
    assert (caught.value.code, caught.value.param) == ("invalid_value", "name")


def test_a_transcript_that_is_too_long_has_the_code_of_a_text_that_is(http: httpx2.Client) -> None:
    form = {"name": "narrator", "transcript": "x" * (MAX_TRANSCRIPT_CHARS + 1)}
    refused = http.post(VOICES, data=form, files={"audio_sample": recorded(HIS_VOICE)})
    error = refused.json()["error"]
    assert (refused.status_code, error["code"], error["param"]) == (400, "string_above_max_length", "transcript")


def test_two_recordings_are_two_voices(client: OpenAI) -> None:
    assert tone_of(client, enrol(client, HIS_VOICE)) != tone_of(client, enrol(client, HER_VOICE))


def test_a_new_recording_keeps_the_id_and_changes_the_speech(client: OpenAI, http: httpx2.Client) -> None:
    voice_id = enrol(client, HIS_VOICE)
    before = tone_of(client, voice_id)
    replaced = http.put(f"{VOICES}/{voice_id}", files={"audio_sample": recorded(HER_VOICE)})
    assert replaced.status_code == 200
    assert (replaced.json()["id"], replaced.json()["generation"]) == (voice_id, 2)
    assert tone_of(client, voice_id) != before


def test_a_deleted_voice_is_gone(client: OpenAI, http: httpx2.Client) -> None:
    voice_id = enrol(client)
    deleted = client.audio.voices.delete(voice_id)
    assert (deleted.id, deleted.deleted, deleted.object) == (voice_id, True, "audio.voice.deleted")
    assert http.get(f"{VOICES}/{voice_id}").json()["error"]["code"] == "voice_not_found"
    with pytest.raises(openai.NotFoundError) as caught:
        client.audio.voices.delete(voice_id)
    assert caught.value.code == "voice_not_found"
    with pytest.raises(openai.NotFoundError):
        tone_of(client, voice_id)


def test_the_list_has_pages_newest_first_and_everything_that_can_speak(fresh: Served) -> None:
    with fresh.client() as client, fresh.http() as http:
        ids = [enrol(client, name=f"voice {number}") for number in range(3)]
        first = http.get(VOICES, params={"limit": 2}).json()
        assert [voice["id"] for voice in first["data"]] == [ids[2], ids[1]]
        assert (first["object"], first["first_id"], first["last_id"]) == ("list", ids[2], ids[1])
        assert first["has_more"] is True
        assert {"id": "alloy", "name": "alloy"} in first["voices"]
        assert {"id": ids[2], "name": "voice 2"} in first["voices"]
        second = http.get(VOICES, params={"limit": 2, "after": ids[1]}).json()
        assert ([voice["id"] for voice in second["data"]], second["has_more"]) == ([ids[0]], False)
        assert second["voices"] == [{"id": ids[0], "name": "voice 0"}]


def test_an_empty_list_has_the_built_in_voices(fresh: Served) -> None:
    with fresh.http() as http:
        page = http.get(VOICES).json()
    assert (page["data"], page["first_id"], page["last_id"], page["has_more"]) == ([], None, None, False)
    assert len(page["voices"]) == 13


@pytest.mark.parametrize(("params", "param"), [({"limit": "0"}, "limit"), ({"limit": "x"}, "limit")])
def test_a_page_that_cannot_be_is_refused_by_its_parameter(
    http: httpx2.Client, params: dict[str, str], param: str
) -> None:
    response = http.get(VOICES, params=params)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (400, "invalid_value", param)


def test_a_page_behind_nobody_is_not_found(http: httpx2.Client) -> None:
    response = http.get(VOICES, params={"after": "voice_nobody"})
    assert (response.status_code, response.json()["error"]["param"]) == (404, "after")


def test_a_voice_from_a_prompt_is_refused_by_name(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.voices.create(name="x", prompt="a deep voice", type="prompt")
    assert caught.value.code in {"unknown_parameter", "invalid_body"}


def test_the_type_of_a_recording_may_be_said(http: httpx2.Client) -> None:
    files = {"audio_sample": recorded(HIS_VOICE)}
    assert http.post(VOICES, data={"name": "x", "type": "audio_sample"}, files=files).status_code == 200
    refused = http.post(VOICES, data={"name": "x", "type": "prompt"}, files=files)
    assert (refused.status_code, refused.json()["error"]["param"]) == (400, "type")


def test_missing_and_unknown_parts_are_named(http: httpx2.Client) -> None:
    files = {"audio_sample": b"x"}
    missing = http.post(VOICES, files=files).json()["error"]
    assert (missing["code"], missing["param"]) == ("missing_required_parameter", "name")
    unknown = http.post(VOICES, data={"name": "x", "colour": "red"}, files=files).json()["error"]
    assert (unknown["code"], unknown["param"]) == ("unknown_parameter", "colour")
    no_sample = http.post(VOICES, data={"consent": "x"}, files={"name": (None, "x")}).json()["error"]
    assert (no_sample["code"], no_sample["param"]) == ("missing_required_parameter", "audio_sample")


def test_what_is_no_audio_is_refused_with_its_field(client: OpenAI) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.audio.voices.create(name="x", audio_sample=("a.wav", b"no audio at all"), consent="")
    assert (caught.value.code, caught.value.param) == ("audio_unreadable", "audio_sample")


def test_a_recording_with_too_many_bytes_is_refused_with_its_field(client: OpenAI) -> None:
    with pytest.raises(openai.APIStatusError) as caught:
        client.audio.voices.create(name="x", audio_sample=("a.wav", b"\0" * (MAX_UPLOAD_BYTES + 1)), consent="")
    assert (caught.value.status_code, caught.value.code, caught.value.param) == (413, "audio_too_large", "audio_sample")


def test_an_unknown_consent_is_not_found(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.audio.voices.create(name="x", audio_sample=("a.flac", recorded(HIS_VOICE)), consent="cons_nobody")
    assert (caught.value.code, caught.value.param) == ("consent_not_found", "consent")
