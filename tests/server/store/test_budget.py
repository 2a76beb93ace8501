"""What a request may spend on waiting."""

import asyncio

from timbre_server.store.budget import current_budget, no_budget, request_budget


def test_outside_of_a_request_there_is_no_budget() -> None:
    assert current_budget() is None
    with request_budget(1.0):
        assert current_budget() is not None
    assert current_budget() is None


def test_what_was_spent_is_gone_and_never_below_zero() -> None:
    with request_budget(1.0) as budget:
        budget.spend(0.25)
        assert budget.left_seconds == 0.75
        budget.spend(2.0)
        assert budget.left_seconds == 0.0


def test_one_wait_in_vain_spends_it_all() -> None:
    with request_budget(1.0) as budget:
        budget.spend_all()
        assert budget.left_seconds == 0.0


async def test_tasks_of_a_request_share_its_budget_and_others_have_their_own() -> None:
    async def spend(seconds: float) -> None:
        budget = current_budget()
        assert budget is not None
        budget.spend(seconds)

    with request_budget(1.0) as ours:
        await asyncio.gather(spend(0.25), spend(0.25))
        with request_budget(1.0) as theirs:
            await asyncio.create_task(spend(0.125))
    assert (ours.left_seconds, theirs.left_seconds) == (0.5, 0.875)


async def test_work_for_nobody_has_no_budget() -> None:
    async def budget_of_a_task() -> object:
        return current_budget()

    with request_budget(1.0):
        with no_budget():
            task = asyncio.create_task(budget_of_a_task())
        assert current_budget() is not None
    assert await task is None
