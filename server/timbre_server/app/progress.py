"""How far is a long command?"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable
from typing import Final, TextIO

BAR_CHARS: Final = 30
LINE_SECONDS: Final = 5.0
"""Where no terminal is, a line about every so often: a log that shows life and stays short."""


class Progress:
    """A bar that moves on a terminal; a line now and then elsewhere.  Written to standard error."""

    def __init__(
        self, total: int | None, what: str, *, stream: TextIO | None = None, clock: Callable[[], float] = time.monotonic
    ) -> None:
        """``total`` None: nobody knows yet."""
        self._total = total
        self._what = what
        self._stream = stream or sys.stderr
        self._clock = clock
        self._began = self._shown_at = clock()
        self._done = self._shown = 0

    def step(self, count: int = 1) -> None:
        """So many more are done."""
        if not count:
            return
        self._done += count
        now = self._clock()
        if self._stream.isatty():
            filled = BAR_CHARS * self._done // max(1, self._total or 0)
            bar = f"[{'#' * filled}{'.' * (BAR_CHARS - filled)}] " if self._total is not None else ""
            self._write(f"\r{bar}{self._text(now)}\033[K")
        elif now - self._shown_at >= LINE_SECONDS:
            self._line(now)

    def end(self) -> None:
        """The last word, whether all is done or not."""
        if self._stream.isatty():
            self._write("\n" if self._done else "")
        elif self._shown != self._done:
            self._line(self._clock())

    def _line(self, now: float) -> None:
        self._shown, self._shown_at = self._done, now
        self._write(self._text(now) + "\n")

    def _text(self, now: float) -> str:
        rate = self._done / max(1e-9, now - self._began)
        done = f"{self._done}" if self._total is None else f"{self._done}/{self._total}"
        return f"{done} {self._what}, {rate:.1f}/s"

    def _write(self, text: str) -> None:
        self._stream.write(text)
        self._stream.flush()
