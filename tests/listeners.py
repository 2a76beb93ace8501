"""How does a listener end without losing a connection that it has just accepted?"""

from __future__ import annotations

import asyncio


async def end(server: asyncio.Server) -> None:
    """Accepts nothing more; whoever was accepted is known to the server's callback when this returns.

    ``Server.close`` alone forgets a connection that was accepted in the same turn of the loop, where ``Server._attach``
    then fails (https://github.com/python/cpython/issues/109564): its socket would stay open until it is collected.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    for _ in range(2):  # its transport is made, then its protocol hears of it
        await asyncio.sleep(0)
    server.close()
