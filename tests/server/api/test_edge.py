"""What every request gets, whatever its route: an id, a count, a line in the log, and a door that may be closed."""

from __future__ import annotations

import http.client
import logging
import re

import httpx2
import pytest

from tests.server.api.served import Served, running
from timbre_server.api.edge import Edge
from timbre_server.service.lifecycle import Lifecycle, State
from timbre_server.telemetry.metrics import Metrics

SPEECH = "/v1/audio/speech"
BODY = {"model": "tts-1", "voice": "alloy", "input": "A private sentence."}


def test_every_response_has_an_id_of_its_own(http: httpx2.Client) -> None:
    ids = {http.get(path).headers["x-request-id"] for path in ("/v1/models", "/v1/models", "/nowhere")}
    assert len(ids) == 3
    assert all(re.fullmatch(r"req_[0-9a-f]{24}", one) for one in ids)


def test_a_clients_sane_id_is_kept(http: httpx2.Client) -> None:
    answer = http.get("/v1/models", headers={"X-Request-Id": "trace-42.a_B"})
    assert answer.headers["x-request-id"] == "trace-42.a_B"


@pytest.mark.parametrize("bad", ["", "a b", "x" * 129, "a\tb", "ä", "<script>", 'a"b', "a;b"])
def test_a_clients_odd_id_is_replaced(served: Served, bad: str) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    connection.request("GET", "/v1/models", headers={"X-Request-Id": bad.encode()})
    answer = connection.getresponse()
    assert answer.headers["X-Request-Id"].startswith("req_")
    connection.close()


def test_an_id_cannot_bring_headers_of_its_own(served: Served) -> None:
    connection = http.client.HTTPConnection("127.0.0.1", served.port)
    connection.putrequest("GET", "/v1/models")
    connection._buffer.append(b"X-Request-Id: a\rSet-Cookie: b=c")  # type: ignore[attr-defined]  # no client lets one
    connection.endheaders()
    answer = connection.getresponse()
    assert "Set-Cookie" not in answer.headers
    assert answer.status == 400 or answer.headers["X-Request-Id"].startswith("req_")
    connection.close()


def test_a_server_that_starts_refuses_with_503_and_a_time() -> None:
    starting = Served()
    with running(starting) as server, server.http() as http:
        server.lifecycle.state = State.STARTING
        refused = http.post(SPEECH, json=BODY)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "not_ready")
        assert refused.headers["retry-after"] == "1"
        assert refused.headers["x-request-id"]


def test_a_draining_server_serves_and_asks_to_close_then_refuses(fresh: Served) -> None:
    with fresh.http() as http:
        assert "connection" not in http.post(SPEECH, json=BODY).headers
        fresh.lifecycle.drain()
        served = http.post(SPEECH, json=BODY)
        assert (served.status_code, served.headers["connection"]) == (200, "close")
        fresh.lifecycle.refuse()
        refused = http.post(SPEECH, json=BODY)
        assert (refused.status_code, refused.json()["error"]["code"]) == (503, "draining")
        assert refused.headers["connection"] == "close"


def test_requests_are_counted_by_the_template_of_their_route(fresh: Served) -> None:
    with fresh.http() as http:
        http.get("/v1/audio/voices/voice_1")
        http.get("/v1/audio/voices/voice_2")
        http.get("/some/path")
        http.get(SPEECH)
    ended = [fresh.metrics.next_finished() for _ in range(4)]
    assert ended == [
        ("/v1/audio/voices/{voice_id}", 404),
        ("/v1/audio/voices/{voice_id}", 404),
        ("unknown", 404),
        (SPEECH, 405),
    ]


def test_nothing_stays_in_flight(fresh: Served) -> None:
    with fresh.http() as http:
        for content in (BODY, {}, BODY | {"input": "[fail]"}):
            http.post(SPEECH, json=content)
    for _ in range(3):
        fresh.metrics.next_finished()
    assert fresh.lifecycle.in_flight == 0


class Crashing:
    """An application with a defect."""

    async def __call__(self, scope: object, receive: object, send: object) -> None:
        raise ZeroDivisionError("the defect")


async def test_a_defect_is_logged_with_its_traceback_and_told_by_its_request_id(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("timbre"), "propagate", True)
    lifecycle = Lifecycle()
    lifecycle.become_ready()
    edge = Edge(Crashing(), lifecycle=lifecycle, metrics=Metrics(), max_body_bytes=10, id_source=lambda: "req_1")
    async with httpx2.AsyncClient(transport=httpx2.ASGITransport(edge), base_url="http://test") as http:
        answer = await http.get("/")
    assert answer.status_code == 500
    error = answer.json()["error"]
    assert error["code"] == "internal_error"
    assert "req_1" in error["message"]
    assert "defect" not in answer.text
    [record] = [record for record in caplog.records if record.exc_info]
    assert record.exc_info is not None
    assert record.exc_info[0] is ZeroDivisionError


def test_the_access_line_names_the_request_and_not_the_text(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging.getLogger("timbre"), "propagate", True)
    caplog.set_level(logging.INFO, "timbre")
    with running(Served()) as server, server.http() as http:
        http.post(SPEECH, json=BODY)
        http.post(SPEECH, json=BODY | {"input": "A private [fail] sentence."})
    lines = [getattr(record, "fields", {}) for record in caplog.records if record.message == "request finished"]
    # Another test's server may write its last line here as well.
    spoken = [(line.get("method"), line.get("status")) for line in lines if line.get("route") == SPEECH]
    assert {("POST", 200), ("POST", 500)} <= set(spoken)
    assert "private" not in caplog.text
