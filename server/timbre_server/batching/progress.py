"""Does the batch at the engine still get on, or does the engine hang?"""

from __future__ import annotations

import math

LEAST_PATIENCE_SECONDS = 60.0
"""Silence of a batch that is never held against the engine: a minute is more than the first call of a compiled
model or a machine that swaps takes, and a hanging server is restarted before most clients' 10 min are over."""

PATIENCE_FACTOR = 20.0
"""Silence that is forgiven, in predicted times of the batch: predictions are off by 6 at most in the engines' own
tests, and the rest is for a machine that is shared."""


class Progress:
    """When the running batch last showed a sign of life, in loop time."""

    def __init__(self) -> None:
        self._last_sign_at = 0.0
        self._patience_seconds = math.inf

    def begin(self, predicted_seconds: float, now: float) -> None:
        """A batch of that predicted time starts."""
        self._last_sign_at = now
        self._patience_seconds = max(LEAST_PATIENCE_SECONDS, PATIENCE_FACTOR * predicted_seconds)

    def note(self, now: float) -> None:
        """The engine has made a piece of it."""
        self._last_sign_at = now

    def end(self) -> None:
        """It has ended, well or not; an idle engine owes nobody a sign."""
        self._patience_seconds = math.inf

    def stalled(self, now: float) -> str | None:
        """None while it gets on, else one sentence."""
        silent_seconds = now - self._last_sign_at
        if silent_seconds <= self._patience_seconds:
            return None
        return f"the engine has given no sign of life for {silent_seconds:.0f} s amid a batch"
