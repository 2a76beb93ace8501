"""The JSON body of a speech request, field by field."""

from __future__ import annotations

import base64
import json

import pytest

from timbre_server.api.bodies import MAX_INSTRUCTIONS_CHARS, MAX_SEED, MAX_TRANSCRIPT_CHARS, SpeechBody, parse_json
from timbre_server.domain.speech import AudioFormat, SpeechParameters, StreamFormat
from timbre_server.errors import AudioTooLarge, AudioUnreadable, InvalidValue, MissingField, TextTooLong, UnknownField
from timbre_server.service.casting import OneOffReference


def parsed(**fields: object) -> SpeechBody:
    return parse_json(SpeechBody, json.dumps({"model": "tts-1", "input": "Hi."} | fields).encode())


def test_absent_fields_ask_for_nothing_special() -> None:
    request = parsed(voice="alloy").to_request("tenant", max_reference_bytes=10)
    assert (request.tenant, request.text, request.voice, request.reference) == ("tenant", "Hi.", "alloy", None)
    assert request.parameters == SpeechParameters()


def test_null_is_the_same_as_absent() -> None:
    optional = {name: None for name, field in SpeechBody.model_fields.items() if not field.is_required()}
    assert parsed(**optional) == parsed()


def test_every_field_arrives() -> None:
    body = parsed(
        voice={"id": "voice_1"},
        instructions="softly",
        response_format="opus",
        speed=2,
        stream_format="sse",
        emotion="sad",
        pitch=-1.5,
        language="en",
        seed=MAX_SEED,
        reference_audio=base64.b64encode(b"0123456789").decode(),
        reference_text="what",
    )
    request = body.to_request("tenant", max_reference_bytes=10)
    assert (body.response_format, body.stream_format) == (AudioFormat.OPUS, StreamFormat.SSE)
    assert (request.voice, request.reference) == ("voice_1", OneOffReference(b"0123456789", "what"))
    assert request.parameters == SpeechParameters(2.0, "sad", -1.5, "en", "softly", MAX_SEED)


@pytest.mark.parametrize("missing", ["model", "input"])
def test_required_fields_are_named(missing: str) -> None:
    fields = {"model": "tts-1", "input": "Hi."}
    del fields[missing]
    with pytest.raises(MissingField) as caught:
        parse_json(SpeechBody, json.dumps(fields).encode())
    assert caught.value.param == missing


def test_an_unknown_field_is_told_before_what_seems_to_be_missing() -> None:
    with pytest.raises(UnknownField) as caught:
        parse_json(SpeechBody, b'{"model": "tts-1", "text": "Hi."}')
    assert caught.value.param == "text"


@pytest.mark.parametrize(
    ("field", "value", "rule"),
    [
        ("seed", 1.5, "must be a valid integer"),
        ("seed", MAX_SEED + 1, "must be less than or equal to 4294967295"),
        ("speed", True, "must be a valid number"),
        ("stream_format", "x", "must be 'audio' or 'sse'"),
        ("voice", [], 'must be the name or id of a voice as a string, or an object {"id": "voice_..."}'),
        ("voice", {}, 'must be the name or id of a voice as a string, or an object {"id": "voice_..."}'),
    ],
)
def test_the_message_names_the_field_and_says_what_is_allowed(field: str, value: object, rule: str) -> None:
    with pytest.raises(InvalidValue) as caught:
        parsed(**{field: value})
    assert (caught.value.param, caught.value.message) == (field, f"`{field}` {rule}")


@pytest.mark.parametrize(
    ("field", "most"), [("instructions", MAX_INSTRUCTIONS_CHARS), ("reference_text", MAX_TRANSCRIPT_CHARS)]
)
def test_every_text_that_is_too_long_has_the_code_of_the_input(field: str, most: int) -> None:
    with pytest.raises(TextTooLong) as caught:
        parsed(**{field: "x" * (most + 1)})
    assert (caught.value.param, caught.value.message) == (field, f"`{field}` must have at most {most} characters")


def test_a_one_off_recording_has_a_bound_of_its_own() -> None:
    with pytest.raises(AudioTooLarge):
        parsed(reference_audio=base64.b64encode(b"0123456789").decode()).to_reference(9)


@pytest.mark.parametrize("text", ["*", "A", "AA", "ä", "data:audio/wav;base64,AAAA"])
def test_a_one_off_recording_is_base64(text: str) -> None:
    with pytest.raises(AudioUnreadable, match=r"base64 alone, without `data:` before it"):
        parsed(reference_audio=text).to_reference(10)
