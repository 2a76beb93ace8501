"""How does a listener end without losing a connection that it has just accepted?"""

from __future__ import annotations

import asyncio


async def end(server: asyncio.Server) -> None:
    """Accepts nothing more.

    ``Server.close`` alone forgets a connection that was accepted in the same turn of the loop (in Python 3.11, where
    ``Server._attach`` then fails): its socket would stay open until it is collected.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    await asyncio.sleep(0)
    server.close()
