"""What happens to work whose client leaves?"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

from starlette.types import Receive


async def while_connected(receive: Receive, work: Coroutine[object, object, None]) -> None:
    """Runs ``work`` to its end, or cancels it as soon as the client leaves.  The body must have been read.

    ASGI servers do not tell a sender that nobody listens any more, so somebody has to keep listening.
    """
    working = asyncio.create_task(work)
    listening = asyncio.create_task(_until_left(receive))
    try:
        await asyncio.wait({working, listening}, return_when=asyncio.FIRST_COMPLETED)
    finally:
        left = not working.done()
        working.cancel()
        listening.cancel()
        await asyncio.wait({working, listening})
    if not left or not working.cancelled():
        working.result()


async def _until_left(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass
