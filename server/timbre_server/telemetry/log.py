"""Logs: one JSON object a line on standard output, with the request's id and never the text that was spoken."""

from __future__ import annotations

import json
import logging
import sys
from contextvars import ContextVar
from datetime import UTC, datetime
from typing import TextIO

request_id: ContextVar[str] = ContextVar("request_id", default="")
"""The id of the request that this task works for; empty outside of one."""

ROOT = "timbre"

SILENT = ("uvicorn.access", "python_multipart.multipart")
"""Loggers that nobody needs: our own access line says more, and what is wrong with a form is told to its sender."""


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: time, level, logger, message, request_id and what ``extra={"fields": {...}}`` holds."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        if current := request_id.get():
            entry["request_id"] = current
        entry.update(getattr(record, "fields", {}))
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def configure(level: str, stream: TextIO | None = None) -> None:
    """Sends Timbre's and uvicorn's logs to ``stream`` (standard output) as JSON."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter())
    for name in (ROOT, "uvicorn", "asyncio", "py.warnings"):
        logger = logging.getLogger(name)
        logger.handlers[:] = [handler]
        logger.propagate = False
        logger.setLevel(level.upper() if name == ROOT else "WARNING")  # libraries chat at info
    # Its one warning, "Invalid HTTP request received", is a line that any stranger could have written without end.
    logging.getLogger("uvicorn").setLevel("ERROR")
    logging.lastResort = handler  # for libraries that we do not know of
    for name in SILENT:
        logging.getLogger(name).disabled = True
    logging.captureWarnings(capture=True)


def get_logger(name: str) -> logging.Logger:
    """The logger for a part of the server, as ``api``."""
    return logging.getLogger(f"{ROOT}.{name}")
