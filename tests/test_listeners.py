"""A listener that ends loses nobody whom it has accepted."""

from __future__ import annotations

import asyncio
import socket

from tests import listeners


async def test_who_was_accepted_in_the_turn_of_the_end_is_known_after_it() -> None:
    accepted: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: accepted.append(writer), "127.0.0.1", 0)
    with socket.create_connection(server.sockets[0].getsockname()):
        for _ in range(2):  # the selector tells of the connection, then it is accepted; its transport is yet to be made
            await asyncio.sleep(0)
        await listeners.end(server)
    (writer,) = accepted
    writer.close()
    await writer.wait_closed()
