"""Every error of every origin has our shape, and says nothing of the inside."""

from __future__ import annotations

import httpx2
import pytest

SPEECH = "/v1/audio/speech"
VOICES = "/v1/audio/voices"


def error_of(response: httpx2.Response) -> dict[str, object]:
    body = response.json()
    assert body.keys() == {"error"}
    error: dict[str, object] = body["error"]
    assert error.keys() == {"message", "type", "param", "code"}
    return error


@pytest.mark.parametrize(
    "path", ["/", "/v1", "/v1/audio/speech/", "/v1/chat/completions", "/docs", "/openapi.json", "/%00"]
)
def test_a_path_that_no_route_has_is_not_found(http: httpx2.Client, path: str) -> None:
    response = http.get(path)
    error = error_of(response)
    assert (response.status_code, error["code"]) == (404, "unknown_url")
    assert "begin with /v1/ and end without a slash" in str(error["message"])


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("GET", SPEECH, "POST"),
        ("HEAD", SPEECH, "POST"),
        ("PATCH", VOICES, "GET, HEAD, POST"),
        ("POST", f"{VOICES}/voice_1", "DELETE, GET, HEAD, PUT"),
        ("PUT", "/v1/audio/voice_consents/cons_1", "DELETE, GET, HEAD, POST"),
        ("DELETE", "/v1/models/tts-1", "GET, HEAD"),
    ],
)
def test_another_method_is_refused_with_all_that_exist(
    http: httpx2.Client, method: str, path: str, allowed: str
) -> None:
    response = http.request(method, path)
    assert response.status_code == 405
    assert response.headers["allow"] == allowed
    if method != "HEAD":
        assert error_of(response)["code"] == "method_not_allowed"


@pytest.mark.parametrize(
    ("path", "status"),
    [
        ("/v1/models", 200),
        ("/v1/models/tts-1", 200),
        ("/v1/models/gpt-9", 404),
        (VOICES, 200),
        (f"{VOICES}?limit=0", 400),
        (f"{VOICES}/voice_1", 404),
        ("/v1/audio/voice_consents", 200),
        ("/v1/chat/completions", 404),
    ],
)
def test_head_tells_of_an_answer_what_get_would_without_its_body(http: httpx2.Client, path: str, status: int) -> None:
    whole, alone = http.get(path), http.head(path)
    assert (whole.status_code, alone.status_code) == (status, status)
    assert (len(whole.content) > 0, alone.content) == (True, b"")
    for name in ("content-type", "content-length"):
        assert alone.headers[name] == whole.headers[name]
    assert http.get("/v1/models").status_code == 200  # nothing of a body is left on the connection


@pytest.mark.parametrize(
    "content",
    [b"", b"{", b"[]", b"null", b"7", b"\xff\xfe", b'{"model": "\\ud800"}', b"[" * 100_000, b'{"a":' * 100_000],
)
def test_a_body_that_is_no_json_object_is_refused(http: httpx2.Client, content: bytes) -> None:
    response = http.post(SPEECH, content=content, headers={"content-type": "application/json"})
    assert (response.status_code, error_of(response)["code"]) == (400, "invalid_body")


@pytest.mark.parametrize("value", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_numbers_are_finite(http: httpx2.Client, value: str) -> None:
    content = f'{{"model":"tts-1","voice":"alloy","input":"x","speed":{value}}}'
    response = http.post(SPEECH, content=content, headers={"content-type": "application/json"})
    assert (response.status_code, error_of(response)["param"]) == (400, "speed")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data", ""])
def test_speech_is_asked_for_in_json(http: httpx2.Client, content_type: str) -> None:
    response = http.post(SPEECH, content=b'{"model":"tts-1"}', headers={"content-type": content_type})
    assert (response.status_code, error_of(response)["code"]) == (400, "invalid_body")


@pytest.mark.parametrize("content_type", ["application/json", "multipart/form-data", "multipart/form-data; boundary="])
def test_a_voice_is_sent_as_a_form(http: httpx2.Client, content_type: str) -> None:
    response = http.post(VOICES, content=b"{}", headers={"content-type": content_type})
    assert (response.status_code, error_of(response)["code"]) == (400, "invalid_body")


def test_json_with_a_charset_is_json(http: httpx2.Client) -> None:
    body = b'{"model":"tts-1","voice":"alloy","input":"Hi."}'
    response = http.post(SPEECH, content=body, headers={"content-type": "Application/JSON; charset=utf-8"})
    assert response.status_code == 200


@pytest.mark.parametrize(
    "body",
    [
        {"model": "secret-text", "voice": "alloy", "input": "x"},
        {"model": "tts-1", "voice": "secret-text", "input": "x"},
        {"model": "tts-1", "voice": "alloy", "input": "x", "response_format": "secret-text"},
        {"model": "tts-1", "voice": "alloy", "input": "x", "emotion": "secret-text"},
        {"model": "tts-1", "voice": "alloy", "input": "x", "language": "secret-text"},
        {"model": "tts-1", "voice": "alloy", "input": "secret-text Москва"},
        {"model": "tts-1", "voice": {"secret-text": 1}, "input": "x"},
        {"model": "tts-1", "voice": "alloy", "input": "secret-text [fail]"},
    ],
)
def test_messages_do_not_repeat_what_the_client_sent(http: httpx2.Client, body: dict[str, object]) -> None:
    response = http.post(SPEECH, json=body)
    assert response.status_code >= 400
    assert "secret-text" not in str(error_of(response)["message"])


def test_a_long_unknown_name_is_cut_and_an_odd_one_is_made_printable(http: httpx2.Client) -> None:
    response = http.post(SPEECH, json={"model": "tts-1", "voice": "alloy", "input": "x", "\n" + "y" * 10_000: 1})
    assert error_of(response)["param"] == "?" + "y" * 63
