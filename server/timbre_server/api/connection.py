"""What happens to work whose client leaves?"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from starlette.types import Receive


async def while_connected(receive: Receive, work: Coroutine[object, object, None]) -> None:
    """Runs ``work`` to its end, or cancels it as soon as the client leaves.  The body must have been read.

    ASGI servers do not tell a sender that nobody listens any more, so somebody has to keep listening.  The work
    stays in the caller's task: a second task for it costs each answer a tenth of a millisecond.
    """
    working = asyncio.current_task()
    assert working is not None
    left = False

    async def listen() -> None:
        nonlocal left
        while (await receive())["type"] != "http.disconnect":
            pass
        left = True
        working.cancel()

    listening = asyncio.create_task(listen())
    try:
        await work
        if left:  # in the very turn in which the work ended: the cancellation is still to come
            await asyncio.sleep(0)
    except asyncio.CancelledError:
        if not left or working.uncancel() > 0:  # it was not ours, or not only ours
            raise
    finally:
        listening.cancel()
