"""Whoever has a link hears what was said, as a file, as long as the link holds and the voice is the same."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx2
import pytest
import xxhash

from tests.server.api.served import LINK_SECONDS, Served, running
from tests.server.api.test_results import said
from tests.server.service.parts import HER_VOICE, HIS_VOICE, NOW, recorded
from timbre_server.domain.speech import AudioFormat
from timbre_server.resultcache.link_sealing import LinkKeys

KEYS = LinkKeys([b"k" * 32])


@pytest.fixture
def linking() -> Iterator[Served]:
    with running(Served(keeps_results=True, link_keys=KEYS)) as server:
        yield server


@pytest.fixture
def http(linking: Served) -> Iterator[httpx2.Client]:
    with linking.http() as client:
        yield client


def link_of(answer: httpx2.Response) -> str:
    return answer.headers["content-location"]


@pytest.mark.parametrize("audio_format", list(AudioFormat))
def test_a_link_gives_what_was_said_in_its_format(http: httpx2.Client, audio_format: AudioFormat) -> None:
    first, second = (said(http, response_format=audio_format) for _ in range(2))
    found = http.get(link_of(first))
    assert found.status_code == 200
    assert found.content == first.content == second.content
    assert found.headers["content-type"] == first.headers["content-type"]
    assert found.headers["content-length"] == str(len(first.content))
    assert found.headers["cache-control"] == "private, no-cache"
    assert link_of(first) == link_of(second)


def test_a_format_that_is_not_at_hand_is_encoded_for_the_link(linking: Served, http: httpx2.Client) -> None:
    link = link_of(said(http, response_format="mp3"))
    results = linking.parts.results
    assert results is not None
    before = http.get(link)
    for entry in list(results._memory._entries.values()):
        results._memory._queue.remove(entry.forms[AudioFormat.MP3])
        del entry.forms[AudioFormat.MP3]
    assert http.get(link).content == before.content
    assert len(linking.engine.batches) == 1


def test_a_head_says_the_same_without_the_file(http: httpx2.Client) -> None:
    link = link_of(said(http))
    head, whole = http.head(link), http.get(link)
    assert (head.status_code, head.content) == (200, b"")
    assert {name: head.headers[name] for name in ("etag", "content-length", "content-type")} == {
        name: whole.headers[name] for name in ("etag", "content-length", "content-type")
    }


def test_a_part_can_be_had(http: httpx2.Client) -> None:
    link = link_of(said(http))
    whole = http.get(link)
    part = http.get(link, headers={"Range": "bytes=10-19", "If-Range": whole.headers["etag"]})
    assert (part.status_code, part.content) == (206, whole.content[10:20])
    assert part.headers["content-range"] == f"bytes 10-19/{len(whole.content)}"
    assert http.get(link, headers={"Range": "bytes=10-19", "If-Range": '"another"'}).content == whole.content
    beyond = http.get(link, headers={"Range": f"bytes={len(whole.content)}-"})
    assert (beyond.status_code, beyond.content) == (416, b"")
    assert beyond.headers["content-range"] == f"bytes */{len(whole.content)}"


def test_its_tag_is_of_the_very_bytes(http: httpx2.Client) -> None:
    found = http.get(link_of(said(http)))
    assert found.headers["etag"].endswith(f'-mp3-{xxhash.xxh3_64_hexdigest(found.content)}"')


def test_who_has_a_copy_gets_no_second_one(http: httpx2.Client) -> None:
    link = link_of(said(http))
    again = http.get(link, headers={"If-None-Match": http.get(link).headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")


def test_an_unchanged_answer_carries_the_link_too(http: httpx2.Client) -> None:
    first = said(http)
    again = said(http, copy=first.headers["etag"])
    assert (again.status_code, link_of(again)) == (304, link_of(first))


def test_what_leaves_no_trace_has_no_link_and_neither_have_events(http: httpx2.Client) -> None:
    answers = [
        said(http, cache_control="no-store"),
        said(http, input="x", reference_audio="", cache_control="no-store"),
        said(http, stream_format="sse"),
    ]
    assert not any("content-location" in answer.headers for answer in answers)


def test_a_link_to_similar_speech_leads_to_what_was_heard() -> None:
    with running(Served(keeps_results=True, similar_text=True, link_keys=KEYS)) as server, server.http() as http:
        first = said(http, input="I have 3 apples.")
        similar = said(http, input="i have three apples")
        assert similar.headers["x-cache"] == "similar"
        assert link_of(similar) == link_of(first)


def test_without_a_key_there_are_no_links() -> None:
    with running(Served(keeps_results=True)) as server, server.http() as http:
        assert "content-location" not in said(http).headers
        assert http.get("/v1/audio/speech/results/x.mp3?expires=1&signature=1").status_code == 404


def code(answer: httpx2.Response) -> tuple[int, str]:
    return answer.status_code, answer.json()["error"]["code"]


def test_an_expired_or_changed_link_is_refused(linking: Served, http: httpx2.Client) -> None:
    link = link_of(said(http))
    assert code(http.get(link.replace(".mp3", ".wav"))) == (403, "link_invalid")
    assert code(http.get(link[:-1] + ("0" if link[-1] != "0" else "1"))) == (403, "link_invalid")
    assert code(http.get(link.partition("?")[0])) == (403, "link_invalid")
    assert code(http.post(link)) == (405, "method_not_allowed")
    linking.parts.clock[0] = NOW + LINK_SECONDS
    assert code(http.get(link)) == (403, "link_expired")


def test_what_is_kept_no_longer_is_not_found(linking: Served, http: httpx2.Client) -> None:
    link = link_of(said(http))
    results = linking.parts.results
    assert results is not None
    linking.loop.call_soon_threadsafe(results._memory.clear)
    assert code(http.get(link)) == (404, "speech_not_found")


@pytest.mark.parametrize("recording", [HER_VOICE, HIS_VOICE], ids=["another recording", "the same recording again"])
def test_a_replaced_voice_cannot_be_heard_by_an_old_link(http: httpx2.Client, recording: str) -> None:
    files = {"audio_sample": ("a", recorded(HIS_VOICE))}
    voice = http.post("/v1/audio/voices", data={"name": "ada"}, files=files).json()["id"]
    link = link_of(said(http, voice={"id": voice}))
    assert voice not in link
    assert http.get(link).status_code == 200
    http.put(f"/v1/audio/voices/{voice}", files={"audio_sample": ("a", recorded(recording))})
    assert code(http.get(link)) == (404, "speech_not_found")
    new = link_of(said(http, voice={"id": voice}))
    assert http.get(new).status_code == 200
    http.delete(f"/v1/audio/voices/{voice}")
    assert code(http.get(new)) == (404, "speech_not_found")


def test_neither_log_nor_metrics_hold_a_link(
    linking: Served, http: httpx2.Client, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("DEBUG")
    link = link_of(said(http))
    linking.metrics.next_finished()
    for path in (link, link + "0"):
        http.get(path)
        route, _ = linking.metrics.next_finished()
        assert route == "/v1/audio/speech/results/{link}"
    written = capsys.readouterr()
    told = json.dumps([vars(record) for record in caplog.records if record.name.startswith("timbre")], default=str)
    signature, hidden = link.rpartition("=")[2], link.rpartition("/")[2].partition(".")[0]
    for secret in (signature, hidden):
        assert secret not in told + written.out + written.err


def test_openais_client_sees_nothing_of_it(linking: Served) -> None:
    with linking.client() as client:
        answers = [client.audio.speech.create(model="tts-1", voice="alloy", input="Hello.") for _ in range(2)]
    assert answers[0].content == answers[1].content
