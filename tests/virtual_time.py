"""Time that passes only when everybody waits: an event loop whose clock jumps to the next timer.

Tests of anything that waits become exact and take no time.  When every task waits and no timer is set, nothing
can ever happen again: that is a ``Deadlock``, not a hanging test.  Threads have no place under this loop.
"""

from __future__ import annotations

import asyncio
import functools
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


class Deadlock(AssertionError):
    """Every task waits for another one, and no timer is set."""


class VirtualTimeLoop(asyncio.SelectorEventLoop):
    """An asyncio loop with ``time()`` = seconds of virtual time since it was made."""

    def __init__(self) -> None:
        self._now_seconds = 0.0
        super().__init__(_JumpingSelector(self))

    def time(self) -> float:
        return self._now_seconds

    def jump(self, seconds: float) -> None:
        """Lets that much time pass at once."""
        self._now_seconds += seconds


def oversleep(seconds: float) -> None:
    """The process is stopped for so long: timers are due before anything that came meanwhile is read."""
    loop = asyncio.get_running_loop()
    assert isinstance(loop, VirtualTimeLoop)
    loop.jump(seconds)


class _JumpingSelector(selectors.DefaultSelector):
    """Returns at once, and instead of waiting moves the loop's clock."""

    def __init__(self, loop: VirtualTimeLoop) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready:
            return ready
        if timeout is None:
            raise Deadlock("every task waits and no timer is set")
        self._loop.jump(max(0.0, timeout))
        return []


def in_virtual_time(test: Callable[P, Coroutine[Any, Any, T]]) -> Callable[P, T]:
    """A decorator: the coroutine function as a plain one, run on a fresh loop of virtual time."""

    @functools.wraps(test)
    def run(*args: P.args, **kwargs: P.kwargs) -> T:
        with asyncio.Runner(loop_factory=VirtualTimeLoop) as runner:
            return runner.run(test(*args, **kwargs))

    return run
