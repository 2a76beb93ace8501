"""One line of JSON for each thing that is worth one."""

from __future__ import annotations

import io
import json
import logging
from collections.abc import Iterator
from typing import Any

import pytest

from timbre_operator.app.log import configure


@pytest.fixture
def stream() -> Iterator[io.StringIO]:
    root = logging.getLogger()
    before = root.handlers[:], root.level, logging.getLogger("timbre").level
    stream = io.StringIO()
    configure("info", stream)
    yield stream
    logging.captureWarnings(capture=False)
    root.handlers[:], level, timbre_level = before
    root.setLevel(level)
    logging.getLogger("timbre").setLevel(timbre_level)


def _lines(stream: io.StringIO) -> list[dict[str, Any]]:
    return [json.loads(line) for line in stream.getvalue().splitlines()]


def test_a_change_is_one_line_with_its_fields(stream: io.StringIO) -> None:
    logging.getLogger("timbre.reconciler").info(
        "patch", extra={"fields": {"object": "Service/ä", "why": "a: 1, was 2"}}
    )
    (line,) = _lines(stream)
    assert line.pop("time")
    assert line == {
        "level": "info", "logger": "timbre.reconciler", "message": "patch", "object": "Service/ä", "why": "a: 1, was 2",
    }  # fmt: skip


def test_an_exception_stays_on_its_line(stream: io.StringIO) -> None:
    try:
        int("broken")
    except ValueError:
        logging.getLogger("timbre.queue").exception("a turn broke")
    (line,) = _lines(stream)
    assert "ValueError: invalid literal" in line["exception"]


def test_libraries_say_warnings_only(stream: io.StringIO) -> None:
    logging.getLogger("kopf").info("chatter")
    logging.getLogger("kopf").warning("trouble")
    assert [line["message"] for line in _lines(stream)] == ["trouble"]


def test_what_kopf_says_about_running_in_a_thread_is_left_out(stream: io.StringIO) -> None:
    logging.getLogger("kopf").warning("OS signals are ignored: running not in the main thread.")
    assert _lines(stream) == []
