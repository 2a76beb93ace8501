"""What came before byte for byte is known without its text, and answered as it would be otherwise."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace

import httpx2
import pytest
from starlette.requests import ClientDisconnect
from starlette.types import Message

from tests.server.api.served import Served, running
from tests.server.service.parts import HER_VOICE, HIS_VOICE, NOW, recorded
from timbre_server.api import known_requests as module
from timbre_server.api.known_requests import LONGEST_BYTES, Form, KnownRequests
from timbre_server.api.plain_requests import is_plain, read_body, replayed
from timbre_server.domain.speech import AudioFormat
from timbre_server.ports import ResultName, VoiceIdentity
from timbre_server.service.cached_speech import Recall, mark_of

SPEECH = "/v1/audio/speech"
RECALL = Recall("tenant", None, mark_of(VoiceIdentity(preset="alloy")), ResultName("key", ""))
FORM = Form(AudioFormat.WAV, as_events=False, input_chars=5)


def test_a_body_is_known_again_and_another_is_not() -> None:
    known = KnownRequests()
    known.put(b"body", RECALL, FORM)
    assert known.get("tenant", b"body") == (RECALL, FORM)
    assert known.get("tenant", b"bodY") is None


def test_a_body_that_one_tenant_sent_is_unknown_to_another() -> None:
    known, other = KnownRequests(), replace(RECALL, tenant="other")
    known.put(b"body", RECALL, FORM)
    assert known.get("other", b"body") is None
    known.put(b"body", other, FORM)
    assert known.get("tenant", b"body") == (RECALL, FORM)
    assert known.get("other", b"body") == (other, FORM)


def test_nothing_of_a_text_is_remembered() -> None:
    known = KnownRequests()
    known.put(b"a secret text", RECALL, FORM)
    assert all(len(digest) == 32 and b"secret" not in digest for _, digest in known._known)


def test_the_oldest_goes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "REMEMBERED", 2)
    known = KnownRequests()
    for body in (b"one", b"two", b"three"):
        known.put(body, RECALL, FORM)
    assert [known.get("tenant", body) is not None for body in (b"one", b"two", b"three")] == [False, True, True]


def test_a_long_body_is_not_looked_up() -> None:
    known, body = KnownRequests(), bytes(LONGEST_BYTES + 1)
    known.put(body, RECALL, FORM)
    assert known.get("tenant", body) is None


@pytest.mark.parametrize(
    ("method", "headers", "plain"),
    [
        ("POST", [(b"content-type", b"application/json")], True),
        ("POST", [(b"content-type", b"application/json"), (b"if-none-match", b"*")], True),
        ("GET", [(b"content-type", b"application/json")], False),
        ("POST", [(b"content-type", b"application/json; charset=utf-8")], False),
        ("POST", [], False),
        ("POST", [(b"content-type", b"application/json"), (b"cache-control", b"no-store")], False),
        ("POST", [(b"cache-control", b""), (b"content-type", b"application/json")], False),
    ],
)
def test_only_a_request_that_its_body_decides_alone_is_plain(
    method: str, headers: list[tuple[bytes, bytes]], *, plain: bool
) -> None:
    assert is_plain({"type": "http", "method": method, "headers": headers}) is plain


class Messages:
    """A ``receive`` with so many messages."""

    def __init__(self, *messages: Message) -> None:
        self._messages = list(messages)

    async def receive(self) -> Message:
        return self._messages.pop(0)


def _request(body: bytes, *, more: bool) -> Message:
    return {"type": "http.request", "body": body, "more_body": more}


async def test_a_body_in_pieces_is_read_whole_and_comes_again_in_one() -> None:
    client = Messages(_request(b"one ", more=True), _request(b"body", more=False), {"type": "http.disconnect"})
    body = await read_body(client.receive)
    assert body == b"one body"
    again = replayed(body, client.receive)
    assert await again() == _request(b"one body", more=False)
    assert await again() == {"type": "http.disconnect"}


async def test_a_client_that_leaves_in_mid_body_is_noticed() -> None:
    client = Messages(_request(b"one ", more=True), {"type": "http.disconnect"})
    with pytest.raises(ClientDisconnect):
        await read_body(client.receive)


@pytest.fixture
def keeping() -> Iterator[Served]:
    with running(Served(keeps_results=True)) as server:
        yield server


def outcomes(http: httpx2.Client, count: int, **changes: object) -> list[str]:
    body = {"model": "tts-1", "voice": "alloy", "input": "Said before.", "response_format": "wav"} | changes
    return [http.post(SPEECH, json=body).headers.get("x-cache", "none") for _ in range(count)]


def test_a_known_request_is_a_hit_until_its_speech_has_ended(keeping: Served) -> None:
    with keeping.http() as http:
        assert outcomes(http, 3) == ["miss", "hit", "hit"]
        keeping.parts.clock[0] = NOW + 24 * 3600
        assert outcomes(http, 2) == ["miss", "hit"]


def test_a_known_request_for_a_format_that_is_not_at_hand_is_encoded(keeping: Served) -> None:
    with keeping.http() as http:
        assert outcomes(http, 2, response_format="mp3") == ["miss", "hit"]
        results = keeping.parts.results
        assert results is not None
        for entry in list(results._memory._entries.values()):
            results._memory._queue.remove(entry.forms[AudioFormat.MP3])
            del entry.forms[AudioFormat.MP3]
        assert outcomes(http, 2, response_format="mp3") == ["hit", "hit"]
    assert len(keeping.engine.batches) == 1


def test_a_known_request_with_a_voice_that_was_replaced_or_deleted_is_no_hit(keeping: Served) -> None:
    with keeping.http() as http:
        created = http.post("/v1/audio/voices", data={"name": "n"}, files={"audio_sample": ("a", recorded(HIS_VOICE))})
        voice = created.json()["id"]
        assert outcomes(http, 2, voice=voice) == ["miss", "hit"]
        http.put(f"/v1/audio/voices/{voice}", files={"audio_sample": ("a", recorded(HER_VOICE))})
        assert outcomes(http, 2, voice=voice) == ["miss", "hit"]
        http.delete(f"/v1/audio/voices/{voice}")
        body = {"model": "tts-1", "voice": voice, "input": "Said before.", "response_format": "wav"}
        assert http.post(SPEECH, json=body).status_code == 404
