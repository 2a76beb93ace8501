"""How does a background task end for certain, and leave nothing open?"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, Final

_AGAIN_SECONDS: Final = 0.5
"""Between two cancellations: long enough for a task to close its connection, which a second one would leave open."""


async def end(tasks: Iterable[asyncio.Task[Any]]) -> None:
    """Cancels tasks until they have ended, whatever they end with.

    Once is not always enough: where the library's connections have a timeout it sends by ``asyncio.wait_for``, which before
    Python 3.12 loses a cancellation that arrives as the sending ends.
    """
    living = {task for task in tasks if not task.done()}
    while living:
        for task in living:
            task.cancel()
        _, living = await asyncio.wait(living, timeout=_AGAIN_SECONDS)


async def finish(closing: Coroutine[Any, Any, None]) -> None:
    """Runs ``closing`` to its end although the caller may be cancelled meanwhile, which then follows.

    The library closes connections by ``asyncio.gather``: cancelled before its parts begin, it closes none.
    """
    task = asyncio.ensure_future(closing)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise
