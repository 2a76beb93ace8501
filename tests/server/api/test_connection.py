"""Work ends with its client."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import pytest
from starlette.types import Message

from timbre_server.api.connection import while_connected


def a_client(leaves: asyncio.Event) -> Callable[[], Awaitable[Message]]:
    async def receive() -> Message:
        await leaves.wait()
        return {"type": "http.disconnect"}

    return receive


class Work:
    """Work that can be watched."""

    def __init__(self) -> None:
        self.begun = asyncio.Event()
        self.may_end = asyncio.Event()
        self.outcome = ""

    async def run(self) -> None:
        self.begun.set()
        try:
            await self.may_end.wait()
            self.outcome = "done"
        except asyncio.CancelledError:
            self.outcome = "cancelled"
            raise


async def test_work_ends_while_its_client_listens() -> None:
    work = Work()
    work.may_end.set()
    await while_connected(a_client(asyncio.Event()), work.run())
    assert work.outcome == "done"


async def test_a_client_who_leaves_cancels_the_work_before_the_call_returns() -> None:
    work, leaves = Work(), asyncio.Event()
    running = asyncio.create_task(while_connected(a_client(leaves), work.run()))
    await work.begun.wait()
    leaves.set()
    await running
    assert work.outcome == "cancelled"


async def test_an_error_of_the_work_reaches_the_caller() -> None:
    async def failing() -> None:
        raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        await while_connected(a_client(asyncio.Event()), failing())


async def test_cancelling_the_call_cancels_the_work_and_leaves_no_task() -> None:
    work = Work()
    running = asyncio.create_task(while_connected(a_client(asyncio.Event()), work.run()))
    await work.begun.wait()
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert work.outcome == "cancelled"
    assert asyncio.all_tasks() == {asyncio.current_task()}
