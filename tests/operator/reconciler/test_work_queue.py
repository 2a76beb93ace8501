"""Turns: one at a time for each key, none forgotten, and none without end."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable
from itertools import pairwise

import pytest

from tests.virtual_time import in_virtual_time
from timbre_operator.errors import Unavailable
from timbre_operator.reconciler.work_queue import WorkQueue


class Turns:
    """What was worked on when, each turn as long as told."""

    def __init__(self, seconds: float = 0.0, then: Callable[[str], Awaitable[float | None]] | None = None) -> None:
        self.began: list[tuple[str, float]] = []
        self.at_work: Counter[str] = Counter()
        self.most_at_once = 0
        self._seconds = seconds
        self._then = then

    async def __call__(self, key: str) -> float | None:
        self.began.append((key, asyncio.get_running_loop().time()))
        self.at_work[key] += 1
        assert self.at_work[key] == 1, "one worker per key"
        self.most_at_once = max(self.most_at_once, self.at_work.total())
        try:
            await asyncio.sleep(self._seconds)
            return await self._then(key) if self._then else None
        finally:
            self.at_work[key] -= 1

    def times(self, key: str) -> list[float]:
        return [when for which, when in self.began if which == key]


async def _worked(queue: WorkQueue[str], seconds: float) -> None:
    """Runs the queue for so long."""
    with pytest.raises(TimeoutError):
        async with asyncio.timeout(seconds):
            await queue.run()


@in_virtual_time
async def test_a_key_that_was_added_often_has_one_turn() -> None:
    turns = Turns()
    queue = WorkQueue(turns)
    for _ in range(100):
        queue.add("a")
    await _worked(queue, 10)
    assert turns.times("a") == [0]


@in_virtual_time
async def test_what_happens_during_a_turn_makes_one_more() -> None:
    turns = Turns(seconds=2)
    queue = WorkQueue(turns)
    queue.add("a")
    loop = asyncio.get_running_loop()
    for when in (0.5, 1.0, 1.5):
        loop.call_later(when, queue.add, "a")
    await _worked(queue, 10)
    assert turns.times("a") == [0, 2]


@in_virtual_time
async def test_different_keys_are_worked_on_beside_each_other_by_as_many_as_there_are_workers() -> None:
    turns = Turns(seconds=1)
    queue = WorkQueue(turns, workers=4)
    for number in range(8):
        queue.add(str(number))
    await _worked(queue, 10)
    assert turns.most_at_once == 4
    assert sorted(when for _, when in turns.began) == [0.0] * 4 + [1.0] * 4


@in_virtual_time
async def test_an_earlier_wish_wins_over_a_later_one() -> None:
    turns = Turns()
    queue = WorkQueue(turns)
    queue.add("a", 30)
    queue.add("a", 5)
    queue.add("a", 60)
    await _worked(queue, 100)
    assert turns.times("a") == [5]


@in_virtual_time
async def test_a_turn_may_ask_for_another_one() -> None:
    async def in_ten_seconds(_key: str) -> float | None:
        return 10 if len(turns.began) < 3 else None

    turns = Turns(then=in_ten_seconds)
    queue = WorkQueue(turns)
    queue.add("a")
    await _worked(queue, 100)
    assert turns.times("a") == [0, 10, 20]


@in_virtual_time
async def test_a_turn_that_failed_is_tried_again_later_and_later() -> None:
    async def fails(_key: str) -> float | None:
        raise Unavailable("away")

    turns = Turns(then=fails)
    queue = WorkQueue(turns, chance=lambda: 0.0)
    queue.add("a")
    await _worked(queue, 400)
    times = turns.times("a")
    waits = [round(after - before, 1) for before, after in pairwise(times)]
    assert waits == [0.2, 0.4, 0.8, 1.6, 3.2, 6.4, 12.8, 25.6, 51.2, 60.0, 60.0, 60.0, 60.0]


@in_virtual_time
async def test_news_about_a_key_that_failed_is_worked_on_at_once() -> None:
    async def fails(_key: str) -> float | None:
        raise Unavailable("away")

    turns = Turns(then=fails)
    queue = WorkQueue(turns, chance=lambda: 0.0)
    queue.add("a")
    asyncio.get_running_loop().call_later(40, queue.add, "a")
    await _worked(queue, 41)
    assert 40 in turns.times("a")


@in_virtual_time
async def test_a_mistake_in_one_turn_stops_nobody_else(caplog: pytest.LogCaptureFixture) -> None:
    async def breaks(key: str) -> float | None:
        return 1 / len(key.strip("a")) if key == "a" else None

    turns = Turns(then=breaks)
    queue = WorkQueue(turns, workers=1)
    queue.add("a")
    queue.add("b")
    await _worked(queue, 1)
    assert turns.times("b") == [0]
    assert len(turns.times("a")) > 1
    assert "a turn broke" in caplog.text


@in_virtual_time
async def test_a_turn_that_hangs_is_ended_and_tried_again() -> None:
    turns = Turns(seconds=1e9)
    queue = WorkQueue(turns, chance=lambda: 0.0)
    queue.add("a")
    await _worked(queue, 61)
    assert turns.times("a") == [0, 60.2]


@in_virtual_time
async def test_stopping_lets_a_running_turn_end_and_begins_no_other_one() -> None:
    turns = Turns(seconds=3)
    queue = WorkQueue(turns, workers=1)
    queue.add("a")
    queue.add("b")
    asyncio.get_running_loop().call_later(1, queue.stop)
    await queue.run()
    assert turns.began == [("a", 0)]
    assert asyncio.get_running_loop().time() == 3


@in_virtual_time
async def test_the_age_of_the_oldest_key_counts_its_wait_and_its_turn() -> None:
    turns = Turns(seconds=50)
    queue = WorkQueue(turns, workers=1)
    queue.add("a")
    queue.add("b")
    queue.add("later", 1000)
    assert queue.depth() == 2
    running = asyncio.create_task(queue.run())
    await asyncio.sleep(10)
    assert queue.oldest_seconds() == 10
    assert queue.depth() == 1
    await asyncio.sleep(45)
    assert queue.oldest_seconds() == 5
    await asyncio.sleep(100)
    assert queue.oldest_seconds() == 0
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running
