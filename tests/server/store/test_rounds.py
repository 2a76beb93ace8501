"""What many ask at once is one question, and nobody gets an answer from before it asked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import pytest

from tests.server.store.pods import ADA, GRACE
from timbre_server.errors import StoreUnavailable
from timbre_server.ports import VoiceName
from timbre_server.store.budget import request_budget
from timbre_server.store.rounds import Rounds


class Oracle:
    """Answers when it is told to."""

    def __init__(self) -> None:
        self.asked: list[list[VoiceName]] = []
        self.hears = asyncio.Semaphore(0)
        self.answer = asyncio.Event()
        self.away = False

    async def __call__(self, names: Sequence[VoiceName]) -> list[str]:
        number = len(self.asked)
        self.asked.append(list(names))
        self.hears.release()
        await self.answer.wait()
        if self.away:
            raise StoreUnavailable("away")
        return [f"{name.voice_id} {number}" for name in names]


async def test_whoever_asks_in_the_same_turn_shares_a_question() -> None:
    oracle = Oracle()
    oracle.answer.set()
    rounds = Rounds(oracle)
    answers = await asyncio.gather(*(rounds.ask(name) for name in (ADA, GRACE, ADA)))
    assert answers == ["voice_ada 0", "voice_grace 0", "voice_ada 0"]
    assert oracle.asked == [[ADA, GRACE]]


async def test_a_question_that_is_on_its_way_is_nobody_else_s() -> None:
    oracle = Oracle()
    rounds = Rounds(oracle)
    first = asyncio.create_task(rounds.ask(ADA))
    await oracle.hears.acquire()
    second = asyncio.create_task(rounds.ask(ADA))
    await oracle.hears.acquire()
    oracle.answer.set()
    assert [await first, await second] == ["voice_ada 0", "voice_ada 1"]


async def test_a_question_is_never_larger_than_one_call_of_redis() -> None:
    oracle = Oracle()
    oracle.answer.set()
    rounds = Rounds(oracle)
    await asyncio.gather(*(rounds.ask(VoiceName("default", f"voice_{number}")) for number in range(600)))
    assert [len(names) for names in oracle.asked] == [256, 256, 88]


async def test_who_asked_in_vain_has_spent_its_request_s_time() -> None:
    oracle = Oracle()
    oracle.away = True
    oracle.answer.set()
    rounds = Rounds(oracle)
    with request_budget(1.0) as budget:
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await rounds.ask(ADA)
        assert budget.left_seconds == 0.0
    assert len(oracle.asked) == 1


async def test_who_leaves_takes_no_answer_from_the_others() -> None:
    oracle = Oracle()
    rounds = Rounds(oracle)
    leaver, stayer = (asyncio.create_task(rounds.ask(ADA)) for _ in range(2))
    await oracle.hears.acquire()
    leaver.cancel()
    with pytest.raises(asyncio.CancelledError):
        await leaver
    oracle.answer.set()
    assert await stayer == "voice_ada 0"
