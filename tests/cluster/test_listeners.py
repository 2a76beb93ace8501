"""A listener that ends loses nobody whom it has accepted."""

from __future__ import annotations

import asyncio
import socket

from tests.cluster import listeners
from tests.cluster.api import PATIENCE_SECONDS


async def test_who_was_accepted_in_the_turn_of_the_end_is_served() -> None:
    served = asyncio.Event()

    async def serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        served.set()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()):
        for _ in range(2):  # the selector tells of the connection, then it is accepted; its transport is yet to be made
            await asyncio.sleep(0)
        await listeners.end(server)
        async with asyncio.timeout(PATIENCE_SECONDS):
            await served.wait()
