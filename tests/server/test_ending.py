"""Do tasks end although a cancellation may get lost?"""

from __future__ import annotations

import asyncio

from tests.virtual_time import in_virtual_time
from timbre_server.ending import end, finish


@in_virtual_time
async def test_a_task_that_lost_its_first_cancellation_ends_all_the_same() -> None:
    lost: list[str] = []
    begun = asyncio.Event()

    async def deaf_once() -> None:
        begun.set()
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            lost.append("once")
        await asyncio.Event().wait()

    task = asyncio.create_task(deaf_once())
    await begun.wait()
    await end([task])
    assert task.cancelled()
    assert lost == ["once"]


@in_virtual_time
async def test_ended_tasks_are_left_alone() -> None:
    async def failing() -> None:
        raise LookupError

    task = asyncio.create_task(failing())
    await asyncio.wait({task})
    await end([task])
    assert isinstance(task.exception(), LookupError)


@in_virtual_time
async def test_what_was_begun_to_be_closed_is_closed_although_its_task_is_cancelled() -> None:
    begun, may_end = asyncio.Event(), asyncio.Event()
    closed: list[str] = []

    async def close() -> None:
        begun.set()
        await may_end.wait()
        closed.append("all")

    task = asyncio.create_task(finish(close()))
    await begun.wait()
    task.cancel()
    asyncio.get_running_loop().call_later(0.1, may_end.set)
    await asyncio.wait({task})
    assert task.cancelled()
    assert closed == ["all"]
