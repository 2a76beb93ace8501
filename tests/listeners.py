"""How does a listener begin and end without losing a socket, whatever is cancelled meanwhile?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

Serve = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None] | None]


async def begin(serve: Serve, host: str, port: int) -> asyncio.Server:
    """Listens; cancelled, nobody does (``asyncio.start_server`` gives a turn of the loop away while it listens already)."""
    beginning = asyncio.ensure_future(asyncio.start_server(serve, host, port))
    try:
        return await asyncio.shield(beginning)
    except asyncio.CancelledError:
        await end(await beginning)
        raise


async def end(server: asyncio.Server) -> None:
    """Accepts nothing more; whoever was accepted is known to the server's callback when this returns, cancelled or not.

    ``Server.close`` alone forgets a connection that was accepted in the same turn of the loop, where ``Server._attach``
    then fails (https://github.com/python/cpython/issues/109564): its socket would stay open until it is collected.
    """
    loop = asyncio.get_running_loop()
    for listening in server.sockets:
        loop.remove_reader(listening.fileno())
    ending = asyncio.ensure_future(_close_in_two_turns(server))
    try:
        await asyncio.shield(ending)
    except asyncio.CancelledError:
        await ending
        raise


async def _close_in_two_turns(server: asyncio.Server) -> None:
    for _ in range(2):  # a transport is made, then its protocol hears of it
        await asyncio.sleep(0)
    server.close()
