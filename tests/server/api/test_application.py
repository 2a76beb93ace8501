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
        ("PATCH", VOICES, "GET, POST"),
        ("POST", f"{VOICES}/voice_1", "DELETE, GET, PUT"),
        ("PUT", "/v1/audio/voice_consents/cons_1", "DELETE, GET, POST"),
        ("DELETE", "/v1/models/tts-1", "GET"),
    ],
)
def test_another_method_is_refused_with_all_that_exist(
    http: httpx2.Client, method: str, path: str, allowed: str
) -> None:
    response = http.request(method, path)
    assert (response.status_code, error_of(response)["code"]) == (405, "method_not_allowed")
    assert response.headers["allow"] == allowed


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
