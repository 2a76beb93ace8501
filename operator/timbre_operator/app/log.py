"""Logs: one JSON object a line on standard output; one line for each change, with what and why and never a secret."""

from __future__ import annotations

import json
import logging
import sys
from datetime import UTC, datetime
from typing import Final, TextIO

ROOT: Final = "timbre"
_KOPF_CHATTER: Final = ("OS signals are ignored", "Cleanup activity is not executed")
"""It says so because it runs in a thread and is ended by cancellation, which is meant."""


class JsonFormatter(logging.Formatter):
    """A record as one line of JSON: time, level, logger, message, and what ``extra={"fields": {...}}`` holds."""

    def format(self, record: logging.LogRecord) -> str:
        entry: dict[str, object] = {
            "time": datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
        }
        entry.update(getattr(record, "fields", {}))
        if record.exc_info:
            entry["exception"] = self.formatException(record.exc_info)
        return json.dumps(entry, ensure_ascii=False, default=str)


def _tells_something(record: logging.LogRecord) -> bool:
    return not record.getMessage().startswith(_KOPF_CHATTER)


def configure(level: str, stream: TextIO | None = None) -> None:
    """Sends the operator's and its libraries' logs to ``stream`` (standard output) as JSON; libraries only say warnings."""
    handler = logging.StreamHandler(stream or sys.stdout)
    handler.setFormatter(JsonFormatter())
    handler.addFilter(_tells_something)
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel("WARNING")
    logging.getLogger(ROOT).setLevel(level.upper())
    logging.captureWarnings(capture=True)
