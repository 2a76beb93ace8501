"""Log lines are JSON and carry the request's id."""

import io
import json
import logging
from collections.abc import Iterator

import pytest
from python_multipart.exceptions import MultipartParseError
from python_multipart.multipart import MultipartParser

from timbre_server.telemetry import log


@pytest.fixture
def output() -> Iterator[io.StringIO]:
    stream = io.StringIO()
    names = (log.ROOT, "uvicorn", "asyncio", "py.warnings")
    last_resort = logging.lastResort
    before = {name: (logging.getLogger(name).handlers[:], logging.getLogger(name).propagate) for name in names}
    log.configure("info", stream)
    yield stream
    logging.captureWarnings(capture=False)
    logging.lastResort = last_resort
    for name in log.SILENT:
        logging.getLogger(name).disabled = False
    for name, (handlers, propagate) in before.items():
        logging.getLogger(name).handlers[:] = handlers
        logging.getLogger(name).propagate = propagate


def test_a_line_has_time_level_logger_message_and_fields(output: io.StringIO) -> None:
    log.get_logger("app").info("ready", extra={"fields": {"seconds": 1.5}})
    line = json.loads(output.getvalue())
    assert line.pop("time").endswith("+00:00")
    assert line == {"level": "info", "logger": "timbre.app", "message": "ready", "seconds": 1.5}


def test_a_line_of_a_request_carries_its_id(output: io.StringIO) -> None:
    token = log.request_id.set("req_1")
    log.get_logger("api").info("done")
    log.request_id.reset(token)
    log.get_logger("api").info("later")
    assert [json.loads(line).get("request_id") for line in output.getvalue().splitlines()] == ["req_1", None]


def test_a_traceback_stays_on_one_line(output: io.StringIO) -> None:
    try:
        int("broken\nin two lines")
    except ValueError:
        log.get_logger("api").exception("unexpected failure")
    (line,) = output.getvalue().splitlines()
    assert "ValueError" in json.loads(line)["exception"]


def test_lines_below_the_level_are_left_out(output: io.StringIO) -> None:
    log.get_logger("api").debug("details")
    assert output.getvalue() == ""


def test_a_library_that_nobody_named_writes_json_too(output: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])  # pytest has its own there
    logging.getLogger("some.library").warning("careful")
    assert json.loads(output.getvalue())["message"] == "careful"


def test_a_broken_form_writes_no_line(output: io.StringIO, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(logging.getLogger(), "handlers", [])
    with pytest.raises(MultipartParseError):
        MultipartParser(b"edge", {}).write(b"no boundary")
    assert output.getvalue() == ""
