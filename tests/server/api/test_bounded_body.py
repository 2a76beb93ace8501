"""Bodies that are too large, announced or not, and clients that are still writing."""

from __future__ import annotations

import http.client
import json
from collections.abc import Iterator

import httpx2
import pytest
from starlette.types import Message

from tests.server.api.served import MAX_UPLOAD_BYTES, Served
from timbre_server.api.application import ApiOptions
from timbre_server.api.bounded_body import DISCARD_BYTES, BoundedBody
from timbre_server.errors import BodyTooLarge

SPEECH = "/v1/audio/speech"
LIMIT = ApiOptions(MAX_UPLOAD_BYTES).max_body_bytes
JSON = {"content-type": "application/json"}


def chunks(total: int, size: int = 64 << 10) -> Iterator[bytes]:
    for start in range(0, total, size):
        yield b" " * min(size, total - start)


def test_a_body_that_announces_too_much_is_refused_and_its_client_reads_why(http: httpx2.Client) -> None:
    response = http.post(SPEECH, content=b" " * (LIMIT + 1), headers=JSON)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")


def test_a_body_without_a_length_is_refused_when_it_has_become_too_large(http: httpx2.Client) -> None:
    response = http.post(SPEECH, content=chunks(3 * LIMIT), headers=JSON)
    assert (response.status_code, response.json()["error"]["code"]) == (413, "body_too_large")
    assert http.get("/v1/models").status_code == 200  # on the same connection


def test_a_body_without_a_length_is_read_like_any_other(http: httpx2.Client) -> None:
    body = json.dumps({"model": "tts-1", "voice": "alloy", "input": "Hi."}).encode()
    response = http.post(SPEECH, content=(body[at : at + 3] for at in range(0, len(body), 3)), headers=JSON)
    assert response.status_code == 200


def test_a_client_that_asks_first_is_refused_before_it_sends(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    connection.putrequest("POST", SPEECH)
    for name, value in (*JSON.items(), ("Content-Length", str(LIMIT + 1)), ("Expect", "100-continue")):
        connection.putheader(name, value)
    connection.endheaders()
    answer = connection.getresponse()
    assert (answer.status, answer.headers["Connection"]) == (413, "close")
    connection.close()


def a_body(*parts: bytes, announced: int | None = None, max_bytes: int = 10) -> tuple[BoundedBody, list[Message]]:
    """A body in these parts, and the messages that have not been read yet."""
    headers = [] if announced is None else [(b"content-length", str(announced).encode())]
    left: list[Message] = [
        {"type": "http.request", "body": part, "more_body": number < len(parts)}
        for number, part in enumerate(parts, start=1)
    ]

    async def receive() -> Message:
        return left.pop(0) if left else {"type": "http.disconnect"}

    return BoundedBody({"headers": headers}, receive, max_bytes), left


async def test_a_body_of_exactly_the_bound_passes() -> None:
    body, _ = a_body(b"12345", b"67890", announced=10)
    assert [(await body.receive())["body"] for _ in range(2)] == [b"12345", b"67890"]


@pytest.mark.parametrize("announced", [None, 11])
async def test_one_byte_more_is_refused_and_the_rest_is_read_away(announced: int | None) -> None:
    body, left = a_body(b"1234567890", b"1", b"rest", announced=announced)
    if announced is None:
        await body.receive()
    with pytest.raises(BodyTooLarge, match="10 bytes"):
        await body.receive()
    assert not left
    assert not body.must_close


async def test_a_body_that_announces_far_too_much_is_not_waited_for() -> None:
    body, left = a_body(b"x", b"y", announced=11 + DISCARD_BYTES)
    with pytest.raises(BodyTooLarge):
        await body.receive()
    assert len(left) == 2
    assert body.must_close


async def test_an_endless_body_is_not_read_for_ever() -> None:
    chunk = b"x" * (8 << 20)
    body, left = a_body(*([chunk] * 20))
    with pytest.raises(BodyTooLarge):
        await body.receive()
    assert body.must_close
    assert len(left) >= 20 - 2 - DISCARD_BYTES // len(chunk)


async def test_a_client_who_leaves_while_sending_is_noticed() -> None:
    body, _ = a_body()
    assert (await body.receive())["type"] == "http.disconnect"
    assert body.client_left


@pytest.mark.parametrize("value", ["-1", "1e9", "x", ""])
async def test_a_length_that_is_no_number_counts_as_none(value: str) -> None:
    async def receive() -> Message:
        return {"type": "http.request", "body": b"12", "more_body": False}

    body = BoundedBody({"headers": [(b"content-length", value.encode())]}, receive, 10)
    assert (await body.receive())["body"] == b"12"
