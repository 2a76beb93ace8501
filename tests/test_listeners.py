"""A listener that ends loses nobody whom it has accepted, and one that was cancelled listens no more."""

from __future__ import annotations

import asyncio
import socket

import pytest

from tests import listeners
from tests.redis_server import free_port

HOST = "127.0.0.1"


def _serve(_: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    writer.close()


async def test_who_was_accepted_in_the_turn_of_the_end_is_known_after_it() -> None:
    accepted: list[asyncio.StreamWriter] = []
    server = await asyncio.start_server(lambda _, writer: accepted.append(writer), HOST, 0)
    with socket.create_connection(server.sockets[0].getsockname()):
        for _ in range(2):  # the selector tells of the connection, then it is accepted; its transport is yet to be made
            await asyncio.sleep(0)
        await listeners.end(server)
    (writer,) = accepted
    writer.close()
    await writer.wait_closed()


@pytest.mark.parametrize("turns", range(1, 4))
async def test_who_is_cancelled_while_it_ends_listens_no_more(turns: int) -> None:
    server = await asyncio.start_server(_serve, HOST, 0)
    ending = asyncio.create_task(listeners.end(server))
    for _ in range(turns):
        await asyncio.sleep(0)
    ending.cancel()
    await asyncio.wait({ending})
    assert not server.sockets


@pytest.mark.parametrize("turns", range(6))
async def test_who_is_cancelled_while_it_begins_listens_no_more(turns: int) -> None:
    port = free_port()
    beginning = asyncio.create_task(listeners.begin(_serve, HOST, port))
    for _ in range(turns):
        await asyncio.sleep(0)
    beginning.cancel()
    (outcome,) = await asyncio.gather(beginning, return_exceptions=True)
    if isinstance(outcome, asyncio.Server):  # it was too late
        await listeners.end(outcome)
    with socket.create_server((HOST, port)):  # fails where somebody listens
        pass
