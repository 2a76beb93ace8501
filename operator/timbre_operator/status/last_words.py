"""Which of a container's last lines says why it ended?"""

from __future__ import annotations

import json
from typing import Final

_SEVERE: Final = {"error", "critical"}
_FATAL: Final = "Fatal Python error"
"""Begins what ``faulthandler`` writes about a crash in native code; the stack of every thread follows."""


def last_words(termination_message: str) -> str:
    """The telling line: of the log's errors the last, else what stands at the end; empty where nothing was said.

    The text is the tail of a log, so its first line may be half a line.
    """
    lines = [line.strip() for line in termination_message.splitlines() if line.strip()]
    for line in lines:
        if line.startswith(_FATAL):
            return line
    entries = [entry for line in lines if (entry := _entry(line)) is not None]
    severe = [entry for entry in entries if entry.get("level") in _SEVERE]
    # A traceback and what is written to standard error stand behind the last line of the log.
    if lines and _entry(lines[-1]) is None:
        return lines[-1]
    return _sentence((severe or entries)[-1]) if entries else ""


def _entry(line: str) -> dict[str, object] | None:
    try:
        entry = json.loads(line)
    except ValueError:
        return None
    return entry if isinstance(entry, dict) and "message" in entry else None


def _sentence(entry: dict[str, object]) -> str:
    message = str(entry["message"])
    exception = str(entry.get("exception") or "").strip().splitlines()
    return f"{message}: {exception[-1]}" if exception else message
