"""The one table from errors to HTTP."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest

from timbre_server.api.errors import ANSWERS, answer, error_response
from timbre_server.errors import (
    Draining,
    EngineOutOfMemory,
    EngineStopped,
    InvalidValue,
    Overloaded,
    TimbreError,
    VoiceNotFound,
)


def tree(root: type[TimbreError]) -> Iterator[type[TimbreError]]:
    yield root
    for child in root.__subclasses__():
        if child.__module__ == "timbre_server.errors":
            yield from tree(child)


@pytest.mark.parametrize("kind", sorted(set(tree(TimbreError)), key=lambda kind: kind.__name__))
def test_every_error_has_a_row_of_its_own(kind: type[TimbreError]) -> None:
    assert kind in ANSWERS
    assert 400 <= ANSWERS[kind].status < 600


def test_the_table_has_no_row_for_what_does_not_exist() -> None:
    assert set(ANSWERS) == set(tree(TimbreError))


def test_codes_tell_every_error_apart() -> None:
    codes = [kind.code for kind in tree(TimbreError)]
    assert len(codes) == len(set(codes))


def test_an_error_that_an_adapter_derives_is_answered_like_its_parent() -> None:
    class Derived(VoiceNotFound):
        pass

    assert answer(Derived("x")).status == 404


def test_the_body_has_all_four_keys() -> None:
    response = error_response(InvalidValue("`speed` must be from 1 to 2", param="speed"))
    assert json.loads(bytes(response.body)) == {
        "error": {
            "message": "`speed` must be from 1 to 2",
            "type": "invalid_request_error",
            "param": "speed",
            "code": "invalid_value",
        }
    }


@pytest.mark.parametrize(
    ("seconds", "whole", "milliseconds"),
    [(0.0, "1", "1"), (0.2501, "1", "251"), (2.0, "2", "2000"), (2.1, "3", "2100")],
)
def test_waiting_times_are_rounded_up(seconds: float, whole: str, milliseconds: str) -> None:
    headers = error_response(Overloaded("full", retry_after_seconds=seconds)).headers
    assert (headers["retry-after"], headers["retry-after-ms"]) == (whole, milliseconds)


@pytest.mark.parametrize("error", [Draining("x"), EngineStopped("x")])
def test_what_another_replica_may_do_says_when_to_come_back(error: TimbreError) -> None:
    response = error_response(error)
    assert (response.status_code, response.headers["retry-after"]) == (503, "1")


def test_what_would_fail_again_does_not_say_when_to_come_back() -> None:
    assert "retry-after" not in error_response(InvalidValue("x")).headers


def test_a_client_that_would_send_again_in_vain_is_told_not_to() -> None:
    assert error_response(EngineOutOfMemory("x")).headers["x-should-retry"] == "false"
    assert "x-should-retry" not in error_response(Overloaded("x")).headers
