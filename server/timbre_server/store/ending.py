"""How does a task end that talks to Redis on a connection of its own?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from typing import Any, Final

_AGAIN_SECONDS: Final = 0.05
"""Between two cancellations: long enough for a task to close its connection on a busy loop."""


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
