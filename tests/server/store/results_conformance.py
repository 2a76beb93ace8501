"""What every place promises that shares finished speech; each one's tests inherit it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from timbre_server.ports import Granted, Held, ResultName, SharedResults, Standing, Taken

VOICE, OTHER_VOICE = "d" * 64, "e" * 64
NAME = ResultName("1" * 64, VOICE)
SECOND = ResultName("2" * 64, VOICE)
OTHERS = ResultName("3" * 64, OTHER_VOICE)
BUILT_IN = ResultName("4" * 64, "")

Make = Callable[[], SharedResults]
"""The place as one more pod sees it; ``lease_seconds=`` sets how long a dead pod keeps its lease."""


async def token_of(shared: SharedResults, name: ResultName = NAME) -> str:
    granted = await shared.claim(name)
    assert isinstance(granted, Granted)
    return granted.token


async def stored(shared: SharedResults, name: ResultName, blob: bytes = b"speech") -> None:
    assert await shared.publish(name, blob, await token_of(shared, name))


async def found(shared: SharedResults, name: ResultName = NAME) -> bytes | None:
    blob = await shared.get(name)
    return None if blob is None else bytes(blob)


class SharedResultsConformance:
    """``make`` is a fixture that gives a ``Make``."""

    async def test_what_was_published_is_found_by_its_name_only(self, make: Make) -> None:
        shared = make()
        await stored(shared, NAME)
        assert await found(make()) == b"speech"
        assert await found(shared, SECOND) is None

    async def test_a_large_blob_comes_back_whole(self, make: Make) -> None:
        blob = bytes(range(256)) * 16_384
        await stored(make(), NAME, blob)
        assert await found(make()) == blob

    async def test_only_one_pod_may_make_it_at_a_time(self, make: Make) -> None:
        claims = await asyncio.gather(*(make().claim(NAME) for _ in range(10)))
        assert sorted(type(claim).__name__ for claim in claims) == ["Granted"] + ["Taken"] * 9

    async def test_the_right_to_one_speech_is_no_right_to_another(self, make: Make) -> None:
        await token_of(make())
        await token_of(make(), SECOND)

    async def test_a_claim_on_what_is_there_gives_it(self, make: Make) -> None:
        await stored(make(), NAME)
        claim = await make().claim(NAME)
        assert isinstance(claim, Held)
        assert bytes(claim.blob) == b"speech"

    async def test_who_makes_it_learns_that_others_wait(self, make: Make) -> None:
        shared = make()
        token = await token_of(shared)
        assert await shared.renew(NAME, token) is Standing.OURS
        assert isinstance(await make().claim(NAME), Taken)
        assert await shared.renew(NAME, token) is Standing.AWAITED

    async def test_an_abandoned_lease_is_free_and_nobody_awaits_its_next_owner(self, make: Make) -> None:
        shared = make()
        token = await token_of(shared)
        await make().claim(NAME)
        assert await shared.abandon(NAME, token)
        assert await shared.renew(NAME, await token_of(shared)) is Standing.OURS

    async def test_a_token_of_somebody_else_is_worth_nothing(self, make: Make) -> None:
        shared = make()
        token = await token_of(shared)
        assert not await shared.publish(NAME, b"forged", "another token")
        assert await shared.renew(NAME, "another token") is Standing.LOST
        assert not await shared.abandon(NAME, "another token")
        assert await shared.renew(NAME, token) is Standing.OURS
        assert await found(shared) is None

    async def test_publishing_ends_the_lease(self, make: Make) -> None:
        shared = make()
        token = await token_of(shared)
        assert await shared.publish(NAME, b"speech", token)
        assert await shared.renew(NAME, token) is Standing.LOST

    async def test_a_new_take_replaces_the_old_one_without_a_lease(self, make: Make) -> None:
        await stored(make(), NAME)
        assert await make().publish(NAME, b"a new take", None)
        assert await found(make()) == b"a new take"

    async def test_a_new_take_leaves_the_lease_of_another_alone(self, make: Make) -> None:
        shared = make()
        token = await token_of(shared)
        assert await make().publish(NAME, b"a new take", None)
        assert await shared.publish(NAME, b"speech", token)

    async def test_a_new_take_is_told_of_whether_or_not_there_is_one(self, make: Make) -> None:
        await make().retaken(NAME)
        assert await found(make()) is None

    async def test_erasure_takes_all_speech_of_a_voice_and_counts_it(self, make: Make) -> None:
        for name in (NAME, SECOND, OTHERS, BUILT_IN):
            await stored(make(), name)
        assert await make().erase(VOICE) == 2
        assert [await found(make(), name) for name in (NAME, SECOND)] == [None, None]
        assert [await found(make(), name) for name in (OTHERS, BUILT_IN)] == [b"speech", b"speech"]
        assert await make().erase(VOICE) == 0

    async def test_erasure_finds_a_new_take_too(self, make: Make) -> None:
        await make().publish(NAME, b"a new take", None)
        assert await make().erase(VOICE) == 1
        assert await found(make()) is None

    async def test_who_makes_it_while_it_is_erased_cannot_publish(self, make: Make) -> None:
        shared = make()
        token = await token_of(shared)
        assert await make().erase(VOICE) == 0
        assert await shared.renew(NAME, token) is Standing.LOST
        assert not await shared.publish(NAME, b"speech", token)
        assert await found(shared) is None

    async def test_many_results_of_one_voice_are_erased_and_counted(self, make: Make) -> None:
        names = [ResultName(f"{number:064x}", VOICE) for number in range(1201)]
        shared = make()
        await asyncio.gather(*(shared.publish(name, b"speech", None) for name in names))
        assert await make().erase(VOICE) == len(names)
        assert await found(shared, names[-1]) is None

    async def test_without_news_the_wait_ends_by_itself(self, make: Make) -> None:
        await make().news(NAME, timeout_seconds=0.01)

    @pytest.mark.parametrize("calls", [1, 2])
    async def test_closing_is_idempotent(self, make: Make, calls: int) -> None:
        shared = make()
        await found(shared)
        for _ in range(calls):
            await shared.close()
