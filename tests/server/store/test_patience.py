"""A wait counts the time in which this process could have heard the answer."""

from __future__ import annotations

import asyncio

import pytest

from tests.virtual_time import in_virtual_time, oversleep
from timbre_server.store.patience import Patience


@in_virtual_time
async def test_a_loop_that_is_awake_waits_as_long_as_it_was_told() -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    patience = Patience(0.05)
    with pytest.raises(TimeoutError):
        async with patience:
            await asyncio.Event().wait()
    assert loop.time() - began == pytest.approx(0.05)
    assert patience.waited_seconds == pytest.approx(0.05)


@in_virtual_time
async def test_what_was_slept_through_is_not_waited() -> None:
    answered = asyncio.Event()
    async with Patience(0.05) as patience:
        asyncio.get_running_loop().call_later(0.005, oversleep, 10.0)
        asyncio.get_running_loop().call_later(10.03, answered.set)
        await answered.wait()
    assert patience.waited_seconds < 0.05


@in_virtual_time
async def test_an_answer_that_came_while_the_process_slept_is_read_even_in_the_last_slice() -> None:
    answered = asyncio.Event()
    loop = asyncio.get_running_loop()
    async with Patience(0.05):
        loop.call_later(0.045, oversleep, 10.0)
        # Redis' answer lies in the socket; the loop reads it a turn after the timers that are due.
        loop.call_later(0.045, lambda: loop.call_soon(lambda: loop.call_soon(lambda: loop.call_soon(answered.set))))
        await answered.wait()


@in_virtual_time
async def test_a_loop_that_is_always_late_gives_up_too() -> None:
    loop = asyncio.get_running_loop()
    late: list[asyncio.TimerHandle] = []

    def again() -> None:
        oversleep(1.0)
        late.append(loop.call_later(0.001, again))

    again()
    with pytest.raises(TimeoutError):
        async with Patience(0.05):
            await asyncio.Event().wait()
    assert len(late) < 20
    late[-1].cancel()


@in_virtual_time
async def test_a_cancellation_stays_one() -> None:
    async def wait() -> None:
        async with Patience(1.0):
            await asyncio.Event().wait()

    waiting = asyncio.create_task(wait())
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
