"""One pod: what several want at the same time is made once, and each of them may leave."""

import asyncio
from contextvars import ContextVar

import numpy as np
import pytest

from tests.server.resultcache.sayings import saying
from tests.server.resultcache.stage import (
    PIECE_SAMPLES,
    SECONDS_PER_PIECE,
    a_pod,
    heard,
    now,
    speech_of,
)
from tests.virtual_time import in_virtual_time
from timbre_server.domain.speech import AudioFormat
from timbre_server.errors import EngineError, EngineStopped
from timbre_server.ports import CacheWish, Making


@in_virtual_time
async def test_forty_requests_are_one_synthesis_and_all_hear_all_of_it() -> None:
    pod = a_pod()
    takes = await asyncio.gather(*(pod.ask() for _ in range(40)))
    assert pod.engine.begun == ["Hello."]
    assert sorted(take.outcome for take in takes) == ["coalesced"] * 39 + ["miss"]
    assert len({take.id for take in takes}) == 1
    assert all(np.array_equal(take.samples, speech_of("Hello.")) for take in takes)


@in_virtual_time
async def test_who_comes_while_it_is_made_hears_it_from_the_beginning_as_it_comes() -> None:
    pod = a_pod()
    first = asyncio.create_task(pod.ask())
    await asyncio.sleep(1.5 * SECONDS_PER_PIECE)
    take = await pod.take()
    arrivals = [now() async for _ in take.samples()]
    assert take.outcome == "coalesced"
    assert arrivals == [1.5, 2.0, 3.0]
    await take.aclose()
    await first


@in_virtual_time
async def test_who_set_it_off_may_leave_and_the_others_hear_it_to_the_end() -> None:
    pod = a_pod()
    leader = asyncio.create_task(pod.ask())
    await asyncio.sleep(0.5)
    others = [asyncio.create_task(pod.ask()) for _ in range(2)]
    await asyncio.sleep(SECONDS_PER_PIECE)
    leader.cancel()
    for take in await asyncio.gather(*others):
        assert np.array_equal(take.samples, speech_of("Hello."))
    assert pod.engine.begun == ["Hello."]
    assert (await pod.ask()).outcome == "hit"


@pytest.mark.parametrize(("after", "pieces"), [(0.5, 0), (1.5, 1)], ids=["before it began", "while it is made"])
@in_virtual_time
async def test_when_nobody_is_left_it_ends(after: float, pieces: int) -> None:
    pod = a_pod()
    listeners = [asyncio.create_task(pod.ask()) for _ in range(2)]
    await asyncio.sleep(after)
    for listener in listeners:
        listener.cancel()
    await asyncio.sleep(100)
    assert (pod.engine.spoken, pod.engine.closed) == (pieces, pieces)
    assert (await pod.ask()).outcome == "miss"


@in_virtual_time
async def test_who_comes_in_the_turn_in_which_the_last_one_leaves_gets_speech_of_his_own() -> None:
    pod = a_pod()
    leaver = asyncio.create_task(pod.ask())
    await asyncio.sleep(0.5)
    leaver.cancel()
    await asyncio.sleep(0)
    take = await pod.ask()
    assert np.array_equal(take.samples, speech_of("Hello."))


@in_virtual_time
async def test_a_failure_at_the_beginning_is_everybodys_and_nobodys_later() -> None:
    pod = a_pod()
    pod.engine.refuses = EngineError("broken")
    outcomes = await asyncio.gather(*(pod.ask() for _ in range(3)), return_exceptions=True)
    assert [type(outcome) for outcome in outcomes] == [EngineError] * 3
    assert len(pod.engine.begun) == 1
    pod.engine.refuses = None
    assert (await pod.ask()).outcome == "miss"


@in_virtual_time
async def test_what_broke_off_is_not_kept() -> None:
    pod = a_pod()
    pod.engine.fails_at, pod.engine.failure = 1, EngineError("broke")
    with pytest.raises(EngineError):
        await pod.ask()
    pod.engine.fails_at = None
    assert (await pod.ask()).outcome == "miss"
    assert pod.engine.closed == 2


@in_virtual_time
async def test_a_bug_reaches_who_listens() -> None:
    pod = a_pod()
    pod.engine.refuses = RuntimeError("a bug")
    with pytest.raises(RuntimeError, match="a bug"):
        await pod.ask()


@in_virtual_time
async def test_when_the_pod_stops_its_listeners_are_told() -> None:
    pod = a_pod()
    waits, hears = asyncio.create_task(pod.ask("One.")), asyncio.create_task(pod.ask("Two."))
    await asyncio.sleep(0.5)
    await pod.cache.close()
    for listener in (waits, hears):
        with pytest.raises(EngineStopped):
            await listener


@in_virtual_time
async def test_without_room_equal_requests_still_share_one_synthesis() -> None:
    pod = a_pod(room_bytes=0)
    takes = await asyncio.gather(pod.ask(), pod.ask())
    assert [take.outcome for take in takes] == ["miss", "coalesced"]
    assert (await pod.ask()).outcome == "miss"


class TestTooLong:
    """Speech that is too long to keep."""

    LIMIT_BYTES = 100 + 3 * PIECE_SAMPLES

    @in_virtual_time
    async def test_it_is_heard_to_the_end_and_not_kept(self) -> None:
        pod = a_pod(max_entry_bytes=self.LIMIT_BYTES)
        take = await pod.take()
        assert np.array_equal((await heard(take)).samples, speech_of("Hello."))
        take.keep_encoded(AudioFormat.MP3, b"file", audio_seconds=1.5)
        await take.aclose()
        assert pod.memory.entries == 0
        assert (await pod.ask()).outcome == "miss"

    @in_virtual_time
    async def test_it_is_shared_until_it_is_too_long_and_then_by_nobody_new(self) -> None:
        pod = a_pod(max_entry_bytes=self.LIMIT_BYTES)
        listeners = [asyncio.create_task(pod.ask()) for _ in range(2)]
        await asyncio.sleep(2.5)
        late = await pod.ask()
        takes = await asyncio.gather(*listeners)
        assert [take.outcome for take in takes] == ["miss", "coalesced"]
        assert late.outcome == "miss"
        assert all(np.array_equal(take.samples, speech_of("Hello.")) for take in [*takes, late])


ASKER: ContextVar[str] = ContextVar("asker", default="nobody")


@in_virtual_time
async def test_what_is_made_for_all_runs_in_nobodys_name() -> None:
    pod = a_pod()
    seen: list[str] = []

    async def make() -> Making:
        seen.append(ASKER.get())
        return await pod.engine.make("Hello.")()

    ASKER.set("the first one")
    for wish in (CacheWish(), CacheWish(reuse=False)):
        take = await pod.cache.obtain(pod.cache.name(saying()), make, wish, erasures=0)
        await take.aclose()
    assert seen == ["nobody", "nobody"]
