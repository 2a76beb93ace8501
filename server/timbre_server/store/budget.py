"""How long may all reads of one request together wait for Redis?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar


class Budget:
    """Seconds that a request may still spend on waiting; what it does in between costs nothing."""

    def __init__(self, seconds: float) -> None:
        self._left_seconds = seconds

    @property
    def left_seconds(self) -> float:
        """Never below zero."""
        return max(0.0, self._left_seconds)

    def spend(self, seconds: float) -> None:
        """Takes off what was waited."""
        self._left_seconds -= seconds

    def spend_all(self) -> None:
        """After one wait in vain there is no second: it would be in vain too, and the client waits for speech."""
        self._left_seconds = 0.0


_CURRENT: ContextVar[Budget | None] = ContextVar("redis_budget", default=None)


def current_budget() -> Budget | None:
    """That of the request which this code works for; None outside of requests."""
    return _CURRENT.get()


@contextmanager
def request_budget(seconds: float) -> Iterator[Budget]:
    """All reads inside, in tasks begun inside too, share this budget."""
    token = _CURRENT.set(budget := Budget(seconds))
    try:
        yield budget
    finally:
        _CURRENT.reset(token)


@contextmanager
def no_budget() -> Iterator[None]:
    """Work inside, in tasks begun inside too, is nobody's request: each read has its own time and no more."""
    token = _CURRENT.set(None)
    try:
        yield
    finally:
        _CURRENT.reset(token)
