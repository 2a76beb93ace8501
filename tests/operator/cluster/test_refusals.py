"""What the API server says, as our errors."""

from __future__ import annotations

import json

import pytest

from timbre_operator.cluster.refusals import refusal, retry_after_seconds
from timbre_operator.errors import ClusterError, Conflict, Forbidden, Invalid, NotFound, Unavailable


def _status(**fields: object) -> bytes:
    return json.dumps({"kind": "Status", "status": "Failure", **fields}).encode()


@pytest.mark.parametrize(
    ("code", "reason", "expected"),
    [
        (400, "BadRequest", Invalid),
        (401, "Unauthorized", Unavailable),
        (403, "Forbidden", Forbidden),
        (404, "NotFound", NotFound),
        (409, "AlreadyExists", Conflict),
        (410, "Expired", Unavailable),
        (422, "Invalid", Invalid),
        (429, "TooManyRequests", Unavailable),
        (500, "InternalError", Unavailable),
        (503, "ServiceUnavailable", Unavailable),
        (504, "Timeout", Unavailable),
    ],
)
def test_each_answer_is_the_error_that_says_what_to_do(code: int, reason: str, expected: type[ClusterError]) -> None:
    error = refusal(code, _status(reason=reason, message="because"))
    assert type(error) is expected
    assert (str(error), error.reason) == ("because", reason)


def test_an_answer_that_is_no_status_is_not_quoted() -> None:
    assert str(refusal(502, b"<html>proxy")) == "the API server answered 502"
    assert str(refusal(500, b'{"data": {"password": "x"}}')) == "the API server answered 500"


def test_a_path_that_nobody_serves_is_a_kind_that_is_not_there() -> None:
    assert str(refusal(404, b"404 page not found")) == "the API server does not know this kind"


def test_values_of_a_secret_are_not_quoted() -> None:
    body = _status(
        reason="Invalid",
        message='Secret "a" is invalid: data[tls.crt]: Invalid value: "hunter2"',
        details={"kind": "Secret", "name": "a", "causes": [{"field": "data[tls.crt]", "reason": "FieldValueInvalid"}]},
    )
    assert str(refusal(422, body)) == "Secret a is invalid: data[tls.crt]: FieldValueInvalid"


def test_a_long_message_is_cut() -> None:
    assert len(str(refusal(422, _status(message="x" * 50_000)))) == 1000


def test_the_wait_is_read_from_the_header_or_from_the_status() -> None:
    assert retry_after_seconds({"Retry-After": "3"}, b"") == 3
    assert retry_after_seconds({}, _status(details={"retryAfterSeconds": 7})) == 7
    assert retry_after_seconds({"Retry-After": "Wed, 21 Oct 2026"}, b"") is None
    assert retry_after_seconds({}, b"") is None
