"""Is virtual time exact, instantaneous and honest about deadlocks?"""

from __future__ import annotations

import asyncio
import time

import pytest

from tests.virtual_time import Deadlock, in_virtual_time


def test_hours_pass_in_no_time() -> None:
    @in_virtual_time
    async def sleep_a_day() -> float:
        await asyncio.sleep(86_400.0)
        return asyncio.get_running_loop().time()

    began = time.perf_counter()
    assert sleep_a_day() == 86_400.0
    assert time.perf_counter() - began < 5.0


@in_virtual_time
async def test_sleepers_wake_in_the_order_of_their_timers() -> None:
    woken: list[tuple[str, float]] = []

    async def sleeper(name: str, seconds: float) -> None:
        await asyncio.sleep(seconds)
        woken.append((name, asyncio.get_running_loop().time()))

    await asyncio.gather(sleeper("late", 3.0), sleeper("early", 1.0), sleeper("middle", 2.0))

    assert woken == [("early", 1.0), ("middle", 2.0), ("late", 3.0)]


@in_virtual_time
async def test_busy_tasks_take_no_time() -> None:
    for _ in range(100):
        await asyncio.sleep(0)

    assert asyncio.get_running_loop().time() == 0.0


@in_virtual_time
async def test_timeouts_fire_on_time() -> None:
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(2.5):
            await asyncio.Event().wait()

    assert asyncio.get_running_loop().time() == 2.5


def test_waiting_for_nothing_is_a_deadlock() -> None:
    @in_virtual_time
    async def wait_for_ever() -> None:
        await asyncio.Event().wait()

    with pytest.raises(Deadlock, match="no timer is set"):
        wait_for_ever()


def test_tasks_that_wait_for_each_other_are_a_deadlock() -> None:
    @in_virtual_time
    async def wait_in_a_ring() -> None:
        one, other = asyncio.Event(), asyncio.Event()

        async def chain(mine: asyncio.Event, theirs: asyncio.Event) -> None:
            await theirs.wait()
            mine.set()

        await asyncio.gather(chain(one, other), chain(other, one))

    with pytest.raises(Deadlock):
        wait_in_a_ring()


def test_the_arguments_and_the_result_pass_through() -> None:
    @in_virtual_time
    async def add(one: int, *, other: int) -> int:
        await asyncio.sleep(1)
        return one + other

    assert add(1, other=2) == 3
