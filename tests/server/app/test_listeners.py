"""A listener that ends cuts nobody off who was there before."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import suppress

import pytest
from starlette.types import Receive, Scope, Send

from timbre_server.app import listeners
from timbre_server.app.listeners import Listener

REQUEST = b"GET / HTTP/1.1\r\nHost: timbre\r\nConnection: close\r\n\r\n"
GRACE_SECONDS = 60.0


async def answer(_: Scope, __: Receive, send: Send) -> None:
    await send({"type": "http.response.start", "status": 204, "headers": []})
    await send({"type": "http.response.body"})


@pytest.fixture
async def listener() -> AsyncIterator[Listener]:
    listener = Listener(answer, "127.0.0.1", 0)
    listener.start()
    while not await _answers(listener):
        pass
    yield listener
    await listener.stop(GRACE_SECONDS)


async def _answers(listener: Listener) -> bool:
    """One connection of its own, asked and answered; so whoever connected before was accepted."""
    with suppress(ConnectionError):  # refused, or reset in the moment of the end
        reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
        writer.write(REQUEST)
        told = await reader.read()
        writer.close()
        return told.startswith(b"HTTP/1.1 204")
    return False


async def test_who_has_connected_and_asks_a_moment_later_is_answered(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "FIRST_REQUEST_SECONDS", GRACE_SECONDS)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    assert await _answers(listener)
    stopping = asyncio.create_task(listener.stop(GRACE_SECONDS))
    while await _answers(listener):
        pass
    writer.write(REQUEST)
    assert (await reader.read()).startswith(b"HTTP/1.1 204")
    writer.close()
    await stopping


async def test_who_has_connected_and_asks_nothing_is_let_go(
    listener: Listener, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(listeners, "FIRST_REQUEST_SECONDS", 0.01)
    reader, writer = await asyncio.open_connection("127.0.0.1", listener.port)
    assert await _answers(listener)
    await listener.stop(GRACE_SECONDS)
    assert await reader.read() == b""
    writer.close()
