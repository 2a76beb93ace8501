"""``POST /v1/audio/speech`` as OpenAI's own client sees it."""

from __future__ import annotations

import base64
import json
import math
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import httpx2
import numpy as np
import openai
import pytest
from openai import OpenAI

from tests.server.api.heard import heard, tone_hz
from tests.server.api.served import Gate, Served, running
from tests.server.service.parts import HIS_VOICE, recorded
from timbre_server.audio.encoding import CONTENT_TYPES
from timbre_server.domain.speech import AudioFormat
from timbre_server.engine.stub import SECONDS_PER_CHARACTER, StubEngine

TEXT = "Today is a wonderful day to build something people love!"
SPOKEN_SECONDS = len(TEXT) * SECONDS_PER_CHARACTER

# AAC's priming and the padding of its last frame come to two frames of 1,024 samples (audio.encoding).
TOLERANCE_SECONDS = 2 * 1024 / 24_000 + 0.005

SPEECH = "/v1/audio/speech"


def a_body(**changes: object) -> dict[str, object]:
    return {"model": "tts-1", "voice": "alloy", "input": TEXT} | changes


def test_openais_published_example_runs_unchanged(client: OpenAI, tmp_path: Path) -> None:
    speech_file_path = tmp_path / "speech.mp3"
    with client.audio.speech.with_streaming_response.create(
        model="gpt-4o-mini-tts", voice="coral", input=TEXT, instructions="Speak in a cheerful and positive tone."
    ) as response:
        response.stream_to_file(speech_file_path)
    pcm = heard(speech_file_path.read_bytes(), AudioFormat.MP3)
    assert pcm.duration_seconds == pytest.approx(SPOKEN_SECONDS, abs=TOLERANCE_SECONDS)


def test_the_older_example_with_tts_1_runs_unchanged(client: OpenAI, tmp_path: Path) -> None:
    response = client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT)
    response.write_to_file(tmp_path / "speech.mp3")
    assert (tmp_path / "speech.mp3").stat().st_size > 1000


@pytest.mark.parametrize("audio_format", list(AudioFormat))
def test_every_format_has_its_type_and_the_whole_speech(client: OpenAI, audio_format: AudioFormat) -> None:
    response = client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, response_format=audio_format.value)
    assert response.response.headers["content-type"] == CONTENT_TYPES[audio_format]
    pcm = heard(response.content, audio_format)
    assert pcm.duration_seconds == pytest.approx(SPOKEN_SECONDS, abs=TOLERANCE_SECONDS)
    assert tone_hz(pcm) == pytest.approx(600, abs=2)  # alloy is the stub's first preset


def test_wav_is_sent_whole_with_its_true_length(client: OpenAI) -> None:
    response = client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, response_format="wav")
    assert int(response.response.headers["content-length"]) == len(response.content)
    assert int.from_bytes(response.content[4:8], "little") == len(response.content) - 8


@pytest.mark.parametrize("speed", [0.25, 0.5, 1.5, 4.0])
def test_speed_beyond_the_engines_range_changes_duration_and_not_pitch(client: OpenAI, speed: float) -> None:
    response = client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, response_format="pcm", speed=speed)
    pcm = heard(response.content, AudioFormat.PCM)
    assert pcm.duration_seconds == pytest.approx(SPOKEN_SECONDS / speed, rel=0.02)
    assert tone_hz(pcm) == pytest.approx(600, rel=0.02)


def test_our_own_fields_travel_as_additional_ones(client: OpenAI) -> None:
    plain = client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, response_format="pcm")
    changed = client.audio.speech.create(
        model="tts-1",
        voice="alloy",
        input=TEXT,
        response_format="pcm",
        extra_body={"emotion": "happy", "pitch": 12, "language": "en-GB", "seed": 7},
    )
    before, after = heard(plain.content, AudioFormat.PCM), heard(changed.content, AudioFormat.PCM)
    assert tone_hz(after) == pytest.approx(2 * tone_hz(before), rel=0.01)
    assert np.abs(after.samples).max() > np.abs(before.samples).max()


def test_a_one_off_reference_speaks_instead_of_the_named_voice(client: OpenAI) -> None:
    reference = base64.b64encode(recorded(HIS_VOICE)).decode()
    extra = {"reference_audio": reference, "reference_text": "what he says"}
    answers = [
        client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, response_format="pcm", extra_body=extra)
        for _ in range(2)
    ]
    assert tone_hz(heard(answers[0].content, AudioFormat.PCM)) < 590
    assert [answer.response.headers["x-voice-cache"] for answer in answers] == ["extracted", "host"]


def test_headers_tell_the_request_id_the_voices_tier_and_the_time(client: OpenAI) -> None:
    headers = client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT).response.headers
    assert headers["x-request-id"].startswith("req_")
    assert headers["x-voice-cache"] == "host"
    phases = {phase.split(";dur=")[0]: float(phase.split(";dur=")[1]) for phase in headers["server-timing"].split(", ")}
    assert phases.keys() == {"queue", "voice", "synth", "encode"}
    assert phases["encode"] > 0


@pytest.mark.parametrize("audio_format", [one for one in AudioFormat if one is not AudioFormat.WAV])
def test_what_leaves_while_it_is_made_tells_nginx_to_hold_nothing_back(
    http: httpx2.Client, audio_format: AudioFormat
) -> None:
    for stream_format in ("audio", "sse"):
        answer = http.post(SPEECH, json=a_body(response_format=audio_format, stream_format=stream_format))
        assert answer.headers["x-accel-buffering"] == "no"


def test_what_is_whole_before_it_leaves_may_wait_in_nginx(http: httpx2.Client) -> None:
    assert "x-accel-buffering" not in http.post(SPEECH, json=a_body(response_format="wav")).headers


def events_of(response: httpx2.Response) -> list[dict[str, object]]:
    assert response.headers["content-type"] == "text/event-stream"
    blocks = response.text.split("\n\n")
    assert blocks.pop() == ""
    return [json.loads(block.removeprefix("data: ")) for block in blocks]


def test_events_carry_the_file_in_pieces_and_its_usage(http: httpx2.Client) -> None:
    events = events_of(http.post(SPEECH, json=a_body(stream_format="sse", response_format="opus")))
    *deltas, done = events
    assert {event["type"] for event in deltas} == {"speech.audio.delta"}
    audio = b"".join(base64.b64decode(str(event["audio"])) for event in deltas)
    assert heard(audio, AudioFormat.OPUS).duration_seconds == pytest.approx(SPOKEN_SECONDS, abs=TOLERANCE_SECONDS)
    tokens = math.ceil(SPOKEN_SECONDS * 20)
    usage = {"input_tokens": len(TEXT), "output_tokens": tokens, "total_tokens": len(TEXT) + tokens}
    assert done == {"type": "speech.audio.done", "usage": usage}


def test_a_failure_after_the_first_byte_is_the_last_event(http: httpx2.Client) -> None:
    text = "This is said. This is [fail] not."
    events = events_of(http.post(SPEECH, json=a_body(input=text, stream_format="sse", response_format="pcm")))
    assert events[0]["type"] == "speech.audio.delta"
    assert events[-1]["type"] == "error"
    error = events[-1]["error"]
    assert isinstance(error, dict)
    assert error.keys() == {"message", "type", "param", "code"}
    assert error["code"] == "engine_error"


def test_a_failure_after_the_first_byte_breaks_the_connection_off_and_counts_as_one(fresh: Served) -> None:
    broken = a_body(input="This is said. This is [fail] not.", response_format="pcm")
    with fresh.http() as http, pytest.raises(httpx2.RemoteProtocolError, match="incomplete chunked read"):
        http.post(SPEECH, json=broken)
    assert fresh.metrics.next_finished() == (SPEECH, 500)


@pytest.mark.parametrize("audio_format", ["wav", "pcm"])
def test_a_failure_before_the_first_byte_is_an_ordinary_error(client: OpenAI, audio_format: str) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.audio.speech.create(model="tts-1", voice="alloy", input="[fail]", response_format=audio_format)  # type: ignore[arg-type]
    assert caught.value.code == "engine_error"


def test_an_exception_of_the_engine_that_nobody_foresaw_tells_nothing_of_its_inside(client: OpenAI) -> None:
    with pytest.raises(openai.InternalServerError) as caught:
        client.audio.speech.create(model="tts-1", voice="alloy", input="[crash]")
    assert "crash" not in caught.value.message
    client.audio.speech.create(model="tts-1", voice="alloy", input="And the next one works.")


@pytest.mark.parametrize(
    ("changes", "status", "code", "param"),
    [
        ({"model": "gpt-9"}, 404, "model_not_found", "model"),
        ({"voice": "nobody"}, 404, "voice_not_found", "voice"),
        ({"voice": {"id": "voice_00"}}, 404, "voice_not_found", "voice"),
        ({"voice": None}, 400, "missing_required_parameter", "voice"),
        ({"voice": 7}, 400, "invalid_value", "voice"),
        ({"input": ""}, 400, "text_not_speakable", "input"),
        ({"input": "?! \U0001f600"}, 400, "text_not_speakable", "input"),
        ({"input": "你好"}, 400, "language_not_supported", "input"),
        ({"input": "x" * 4097}, 400, "string_above_max_length", "input"),
        ({"input": 1}, 400, "invalid_value", "input"),
        ({"language": "fr"}, 400, "language_not_supported", "language"),
        ({"emotion": "sarcastic"}, 400, "emotion_not_supported", "emotion"),
        ({"speed": 4.1}, 400, "invalid_value", "speed"),
        ({"speed": "fast"}, 400, "invalid_value", "speed"),
        ({"pitch": 13}, 400, "invalid_value", "pitch"),
        ({"seed": -1}, 400, "invalid_value", "seed"),
        ({"response_format": "mp4"}, 400, "invalid_value", "response_format"),
        ({"stream_format": "ws"}, 400, "invalid_value", "stream_format"),
        ({"volume": 11}, 400, "unknown_parameter", "volume"),
        ({"voice": {"id": "voice_00", "name": "x"}}, 400, "unknown_parameter", "name"),
        ({"reference_text": "x"}, 400, "invalid_value", "reference_text"),
        ({"reference_audio": "***"}, 400, "audio_unreadable", "reference_audio"),
        ({"reference_audio": base64.b64encode(b"no audio").decode()}, 400, "audio_unreadable", "reference_audio"),
    ],
)
def test_what_is_wrong_is_told_with_code_and_param(
    http: httpx2.Client, changes: dict[str, object], status: int, code: str, param: str
) -> None:
    response = http.post(SPEECH, json=a_body(**changes))
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["param"]) == (status, code, param)
    assert error.keys() == {"message", "type", "param", "code"}


def test_the_clients_typed_exceptions_have_code_and_param(client: OpenAI) -> None:
    with pytest.raises(openai.NotFoundError) as caught:
        client.audio.speech.create(model="tts-1", voice="nobody", input=TEXT)
    assert (caught.value.code, caught.value.param, caught.value.type) == (
        "voice_not_found",
        "voice",
        "invalid_request_error",
    )
    with pytest.raises(openai.BadRequestError) as refused:
        client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT, speed=9)
    assert "0.25 to 4" in refused.value.message


def test_the_error_names_the_formats_that_exist(http: httpx2.Client) -> None:
    message = http.post(SPEECH, json=a_body(response_format="mp4")).json()["error"]["message"]
    assert all(f"'{audio_format}'" in message for audio_format in AudioFormat)


def test_twenty_at_once_all_get_their_own_voice(served: Served) -> None:
    voices = sorted(served.engine.preset_voices())

    def speak(number: int) -> float:
        with served.client() as one_client:
            answer = one_client.audio.speech.create(
                model="tts-1", voice=voices[number % 13], input=TEXT, response_format="pcm"
            )
            return tone_hz(heard(answer.content, AudioFormat.PCM))

    with ThreadPoolExecutor(20) as pool:
        tones = list(pool.map(speak, range(20)))
    expected = [600.0 + 25.0 * (number % 13) for number in range(20)]
    assert tones == pytest.approx(expected, abs=2)


def test_audio_is_counted_and_the_first_of_it_is_timed(fresh: Served) -> None:
    with fresh.client() as client:
        client.audio.speech.create(model="tts-1", voice="alloy", input=TEXT)
    assert fresh.metrics.next_finished() == (SPEECH, 200)
    assert fresh.metric("timbre_audio_seconds_total") == pytest.approx(SPOKEN_SECONDS, abs=0.01)
    assert fresh.metric("timbre_time_to_first_audio_seconds_count") == 1


@pytest.fixture
def gate() -> Gate:
    return Gate()


@pytest.fixture
def gated(gate: Gate) -> Iterator[Served]:
    """A server whose engine waits for the test."""
    engine = StubEngine(fixed_seconds=0.5, per_job_seconds=0.5, max_cross_voice_batch=1, sleep=gate.sleep)
    with running(Served(engine=engine, max_pending_seconds=1.5)) as server:
        yield server
        gate.let(100)


def in_background(call: object) -> threading.Thread:
    thread = threading.Thread(target=call)  # type: ignore[arg-type]
    thread.start()
    return thread


def test_first_bytes_leave_before_the_speech_is_finished(gated: Served, gate: Gate) -> None:
    two_sentences = a_body(input=f"{TEXT} {TEXT}", response_format="mp3", voice="alloy")
    gate.let(1)
    with gated.http() as http, http.stream("POST", SPEECH, json=two_sentences) as response:
        chunks = response.iter_raw()
        first = next(chunks)
        gate.wait_for_batch()
        gate.wait_for_batch()  # the second sentence is at the engine, which waits
        assert first
        gate.let(1)
        rest = b"".join(chunks)
    assert heard(first + rest, AudioFormat.MP3).duration_seconds == pytest.approx(2 * SPOKEN_SECONDS, abs=0.1)


@pytest.mark.parametrize("audio_format", ["wav", "mp3"])
def test_a_client_who_leaves_before_the_first_byte_frees_the_queue(
    gated: Served, gate: Gate, audio_format: str
) -> None:
    with gated.http() as leaving, pytest.raises(httpx2.ReadTimeout):
        leaving.post(SPEECH, json=a_body(response_format=audio_format), timeout=0.2)
    assert gated.metrics.next_finished() == (SPEECH, 499)
    assert gated.pending_requests() == 0
    gate.let(1)  # the batch that was under way


def test_a_client_who_leaves_in_the_middle_stops_the_rest(gated: Served, gate: Gate) -> None:
    sentences = [f"This is sentence {number}." for number in range(40)]
    text = " ".join(sentences)
    gate.let(1)
    with gated.http() as http, http.stream("POST", SPEECH, json=a_body(input=text, response_format="pcm")) as response:
        assert next(response.iter_raw())
        gate.wait_for_batch()
        gate.wait_for_batch()
    assert gated.metrics.next_finished() == (SPEECH, 499)
    assert gated.pending_requests() == 0
    gate.let(100)
    spoken = {text for batch in gated.engine.batches for text in batch}
    assert sentences[0] in spoken
    assert sentences[-1] not in spoken


def test_a_refused_client_retries_when_it_was_told_to_and_succeeds(gated: Served, gate: Gate) -> None:
    refusals: list[int] = []

    def note(_: str, status: int) -> None:
        if status == 429:
            refusals.append(status)
            if len(refusals) == 2:
                gate.let(100)

    gated.metrics.on_finished = note
    with gated.http() as http, gated.client(max_retries=8) as patient:
        first = in_background(lambda: http.post(SPEECH, json=a_body()))
        gate.wait_for_batch()
        answer = patient.audio.speech.create(model="tts-1", voice="alloy", input=TEXT)
        first.join()
    assert len(refusals) >= 2
    assert len(answer.content) > 1000


def test_an_overloaded_server_says_when_to_come_back(gated: Served, gate: Gate) -> None:
    with gated.http() as http:
        first = in_background(lambda: http.post(SPEECH, json=a_body()))
        gate.wait_for_batch()
        refused = http.post(SPEECH, json=a_body())
        gate.let(1)
        first.join()
    assert refused.status_code == 429
    assert refused.json()["error"]["code"] == "overloaded"
    milliseconds = int(refused.headers["retry-after-ms"])
    assert 0 < milliseconds <= 1000  # 1.0 s of work each, 1.5 s may wait: it fits when half a second is done
    assert refused.headers["retry-after"] == "1"
