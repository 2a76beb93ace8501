"""What was said before, over HTTP: headers, copies that clients have, and what a request may forbid."""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor

import httpx2
import openai
import pytest

from tests.server.api.heard import heard
from tests.server.api.served import Gate, Served, running
from tests.server.service.parts import HER_VOICE, HIS_VOICE, NOW, recorded
from timbre_server.domain.speech import AudioFormat
from timbre_server.engine.stub import StubEngine

SPEECH = "/v1/audio/speech"
TEXT = "This was said before."


@pytest.fixture
def keeping() -> Iterator[Served]:
    with running(Served(keeps_results=True)) as server:
        yield server


@pytest.fixture
def http(keeping: Served) -> Iterator[httpx2.Client]:
    with keeping.http() as client:
        yield client


def said(http: httpx2.Client, *, cache_control: str = "", copy: str = "", **changes: object) -> httpx2.Response:
    body = {"model": "tts-1", "voice": "alloy", "input": TEXT, "response_format": "mp3"} | changes
    headers = {"Cache-Control": cache_control, "If-None-Match": copy}
    return http.post(SPEECH, json=body, headers={name: value for name, value in headers.items() if value})


def batches(server: Served) -> int:
    return len(server.engine.batches)


@pytest.mark.parametrize("audio_format", list(AudioFormat))
def test_what_was_said_is_sent_again_byte_for_byte_without_the_engine(
    keeping: Served, http: httpx2.Client, audio_format: AudioFormat
) -> None:
    first, second = (said(http, response_format=audio_format) for _ in range(2))
    assert [answer.headers["x-cache"] for answer in (first, second)] == ["miss", "hit"]
    assert first.content == second.content
    assert first.headers["etag"] == second.headers["etag"]
    assert first.headers["content-type"] == second.headers["content-type"]
    assert int(second.headers["content-length"]) == len(second.content)
    assert batches(keeping) == 1


def test_one_speech_serves_all_formats(keeping: Served, http: httpx2.Client) -> None:
    answers = [said(http, response_format=audio_format) for audio_format in AudioFormat]
    assert [answer.headers["x-cache"] for answer in answers] == ["miss"] + ["hit"] * 5
    assert len({answer.headers["etag"] for answer in answers}) == 6
    seconds = [heard(answer.content, form).duration_seconds for answer, form in zip(answers, AudioFormat, strict=True)]
    assert max(seconds) - min(seconds) < 0.1
    assert batches(keeping) == 1


def test_white_space_and_composition_of_letters_are_not_heard(keeping: Served, http: httpx2.Client) -> None:
    answers = [said(http, input=text) for text in ("caf\u00e9  au lait.", " cafe\u0301 au\tlait. ")]
    assert answers[1].headers["x-cache"] == "hit"
    assert keeping.engine.batches[0] == ("caf\u00e9 au lait.",)


def test_a_miss_tells_no_age_and_a_hit_does(keeping: Served, http: httpx2.Client) -> None:
    assert "age" not in said(http).headers
    keeping.parts.clock[0] = NOW + 90
    hit = said(http)
    assert hit.headers["age"] == "90"
    assert hit.headers["cache-control"] == "private, no-cache"
    assert "x-voice-cache" not in hit.headers
    assert re.match(
        r"queue;dur=0.000, voice;dur=0.000, synth;dur=0.000, encode;dur=0.000$", hit.headers["server-timing"]
    )


def test_who_has_a_copy_gets_no_second_one(keeping: Served, http: httpx2.Client) -> None:
    first = said(http)
    again = said(http, copy=first.headers["etag"])
    assert (again.status_code, again.content) == (304, b"")
    assert (again.headers["etag"], again.headers["x-cache"]) == (first.headers["etag"], "hit")
    assert said(http, copy=first.headers["etag"], response_format="wav").status_code == 200
    assert said(http, copy=first.headers["etag"], input="Other words.").status_code == 200
    assert said(http, copy="*").status_code == 304
    assert batches(keeping) == 2


def test_what_is_made_for_a_request_is_nothing_that_it_has_already(keeping: Served, http: httpx2.Client) -> None:
    first = said(http, copy="*")
    assert (first.status_code, first.headers["x-cache"]) == (200, "miss")
    assert said(http, cache_control="no-cache", copy="*").status_code == 200
    assert batches(keeping) == 2


def test_a_copy_of_a_form_that_was_never_sent_is_known_too(keeping: Served, http: httpx2.Client) -> None:
    opus = said(http).headers["etag"].replace("mp3", "opus")
    assert said(http, copy=opus, response_format="opus").status_code == 304


def test_a_new_take_is_no_copy_of_the_old_one(keeping: Served, http: httpx2.Client) -> None:
    old = said(http)
    new = said(http, cache_control="no-cache", copy=old.headers["etag"])
    assert (new.status_code, new.headers["x-cache"]) == (200, "miss")
    after = said(http)
    assert (after.headers["x-cache"], after.headers["etag"]) == ("hit", new.headers["etag"])
    assert batches(keeping) == 2


def test_what_shall_leave_no_trace_leaves_none(keeping: Served, http: httpx2.Client) -> None:
    answer = said(http, cache_control="no-store")
    assert answer.headers["x-cache"] == "bypass"
    assert answer.headers["cache-control"] == "no-store"
    assert "etag" not in answer.headers
    results = keeping.parts.results
    assert results is not None
    assert results.report()["entries"] == 0
    assert said(http).headers["x-cache"] == "miss"
    assert said(http, cache_control="no-store").headers["x-cache"] == "bypass"
    assert batches(keeping) == 3


def test_only_what_is_kept_can_be_asked_for(keeping: Served, http: httpx2.Client) -> None:
    refused = said(http, cache_control="only-if-cached")
    assert refused.status_code == 504
    assert refused.json()["error"]["code"] == "not_cached"
    assert refused.headers["x-should-retry"] == "false"
    assert batches(keeping) == 0
    said(http)
    assert said(http, cache_control="only-if-cached").headers["x-cache"] == "hit"
    assert said(http, cache_control="only-if-cached, no-store").status_code == 504


def test_openais_client_does_not_repeat_what_cannot_be_had(keeping: Served) -> None:
    with keeping.client(max_retries=2) as client, pytest.raises(openai.APIStatusError) as caught:
        client.audio.speech.create(
            model="tts-1", voice="alloy", input=TEXT, extra_headers={"Cache-Control": "only-if-cached"}
        )
    assert caught.value.status_code == 504
    keeping.metrics.next_finished()
    assert keeping.metrics.finished.empty()


def test_what_is_older_than_a_request_allows_is_made_anew(keeping: Served, http: httpx2.Client) -> None:
    said(http)
    keeping.parts.clock[0] = NOW + 60
    assert said(http, cache_control="max-age=60").headers["x-cache"] == "hit"
    assert said(http, cache_control="max-age=59").headers["x-cache"] == "miss"
    assert said(http).headers["age"] == "0"


def test_a_voice_that_comes_along_leaves_no_trace(keeping: Served, http: httpx2.Client) -> None:
    reference = base64.b64encode(recorded(HIS_VOICE)).decode()
    answers = [said(http, reference_audio=reference) for _ in range(2)]
    assert [answer.headers["x-cache"] for answer in answers] == ["bypass", "bypass"]
    assert batches(keeping) == 2


def events_of(answer: httpx2.Response) -> list[dict[str, str]]:
    return [json.loads(block.removeprefix("data: ")) for block in answer.text.split("\n\n")[:-1]]


def test_a_hit_as_events_has_the_same_audio_and_usage(keeping: Served, http: httpx2.Client) -> None:
    first, second = (said(http, stream_format="sse") for _ in range(2))
    assert second.headers["x-cache"] == "hit"
    audio = [
        b"".join(base64.b64decode(event["audio"]) for event in events_of(answer) if "audio" in event)
        for answer in (first, second)
    ]
    assert audio[0] == audio[1] == said(http).content
    assert events_of(first)[-1] == events_of(second)[-1]
    assert said(http, stream_format="sse", copy=first.headers["etag"]).status_code == 304
    assert batches(keeping) == 1


def test_a_hit_needs_no_place_in_the_queue() -> None:
    with running(Served(keeps_results=True, max_pending_seconds=0.001)) as server, server.http() as http:
        assert said(http).headers["x-cache"] == "miss"
        permit = server.parts.dispatcher.admit(1.0)
        assert said(http, input="Other words.").status_code == 429
        assert said(http).headers["x-cache"] == "hit"
        server.loop.call_soon_threadsafe(permit.release)


def test_equal_requests_at_once_are_one_synthesis() -> None:
    gate = Gate()
    with running(Served(engine=StubEngine(sleep=gate.sleep), keeps_results=True)) as server:
        with server.http() as http, ThreadPoolExecutor(8) as clients:
            answers = [clients.submit(said, http, response_format="wav") for _ in range(8)]
            gate.wait_for_batch()
            gate.let()
            outcomes = sorted(answer.result().headers["x-cache"] for answer in answers)
        assert batches(server) == 1
        assert outcomes.count("miss") == 1
        assert set(outcomes) <= {"miss", "coalesced", "hit"}
        assert server.metric("timbre_result_cache_lookups_total", outcome="miss") == 1


def test_where_a_look_up_ended_is_counted(keeping: Served, http: httpx2.Client) -> None:
    for cache_control in ("", "", "no-store", "no-cache"):
        said(http, cache_control=cache_control)
    counts = {
        outcome: keeping.metric("timbre_result_cache_lookups_total", outcome=outcome)
        for outcome in ("hit", "similar", "miss", "coalesced", "bypass")
    }
    assert counts == {"hit": 1, "similar": 0, "miss": 2, "coalesced": 0, "bypass": 1}


def test_hits_are_audio_that_was_sent(keeping: Served, http: httpx2.Client) -> None:
    said(http)
    keeping.metrics.next_finished()
    once = keeping.metric("timbre_audio_seconds_total")
    said(http)
    keeping.metrics.next_finished()
    assert keeping.metric("timbre_audio_seconds_total") == pytest.approx(2 * once)
    assert keeping.metric("timbre_time_to_first_audio_seconds_count") == 1


def test_a_replaced_voice_is_a_miss_and_a_deleted_one_is_gone(keeping: Served, http: httpx2.Client) -> None:
    def upload(method: str, path: str, recording: str) -> dict[str, object]:
        files = {"audio_sample": ("a", recorded(recording))}
        fields = {"name": "narrator"} if method == "POST" else {}
        answer: dict[str, object] = http.request(method, path, data=fields, files=files).json()
        return answer

    voice = upload("POST", "/v1/audio/voices", HIS_VOICE)["id"]
    before = said(http, voice={"id": voice})
    assert said(http, voice={"id": voice}).headers["x-cache"] == "hit"
    upload("PUT", f"/v1/audio/voices/{voice}", HER_VOICE)
    after = said(http, voice={"id": voice}, copy=before.headers["etag"])
    assert (after.status_code, after.headers["x-cache"]) == (200, "miss")
    assert after.content != before.content
    receipt = http.delete(f"/v1/audio/voices/{voice}").json()["erasure"]
    assert receipt["removed"]["shared_results"] == 0  # a server that runs alone shares nothing
    assert receipt["complete"]
    assert said(http, voice={"id": voice}).status_code == 404
    results = keeping.parts.results
    assert results is not None
    assert results.report()["entries"] == 0


def test_the_same_words_written_otherwise_are_labelled_where_that_was_chosen() -> None:
    with running(Served(keeps_results=True, similar_text=True)) as server, server.http() as http:
        first = said(http, input="I have 3 apples.")
        server.parts.clock[0] = NOW + 90
        for _ in range(2):  # the second time it is a known request
            similar = said(http, input="i have three apples")
            assert similar.headers["x-cache"] == "similar"
            assert similar.headers["age"] == "90"
            assert similar.headers["etag"] == first.headers["etag"]
            assert similar.content == first.content
        assert said(http, input="I have 3 apples.").headers["x-cache"] == "hit"
        assert said(http, input="I have 4 apples.").headers["x-cache"] == "miss"
        for cache_control, outcome in (("no-store", "bypass"), ("only-if-cached", "similar"), ("no-cache", "miss")):
            again = said(http, input="I have three apples!", cache_control=cache_control)
            assert again.headers["x-cache"] == outcome
        assert server.metric("timbre_result_cache_lookups_total", outcome="similar") == 3
