"""Several pods: what one has said the others need not make, and of those who want it at once one makes it."""

import asyncio

import numpy as np
import pytest

from tests.server.resultcache.sayings import DESCRIPTOR, VOICE, saying
from tests.server.resultcache.shared_memory import SharedMemory, World
from tests.server.resultcache.stage import PIECE_SAMPLES, SECONDS_PER_PIECE, Pod, a_pod, heard, now, speech_of
from tests.virtual_time import in_virtual_time
from timbre_server.domain.speech import AudioFormat
from timbre_server.errors import EngineError
from timbre_server.ports import CacheWish, ResultName
from timbre_server.resultcache.codec import decode
from timbre_server.resultcache.keys import ResultKeys
from timbre_server.resultcache.shared_tier import PATIENCE_SECONDS, POLL_SECONDS
from timbre_server.resultcache.takes import TooLong

NAME = ResultName(ResultKeys(DESCRIPTOR)(saying()), VOICE.digest)
LEASE_SECONDS = 6.0


def two_pods(world: World, **options: int) -> tuple[Pod, Pod]:
    one, other = (a_pod(world, lease_seconds=LEASE_SECONDS, **options) for _ in range(2))
    return one, other


async def published(world: World) -> None:
    """Returns when nobody has a lease, and what shall be published is."""
    await world.until(lambda: not world.leases and NAME in world.blobs)


def made(*pods: Pod) -> int:
    """How often all of them began to speak."""
    return sum(len(pod.engine.begun) for pod in pods)


@in_virtual_time
async def test_what_one_pod_said_another_one_need_not_make() -> None:
    world = World()
    one, other = two_pods(world)
    said = await one.ask()
    await published(world)
    found = await other.ask()
    assert (said.outcome, found.outcome) == ("miss", "hit")
    assert found.id == said.id
    assert np.array_equal(found.samples, said.samples)
    assert found.age_seconds is not None
    assert made(one, other) == 1


@in_virtual_time
async def test_what_was_fetched_once_is_at_hand() -> None:
    world = World()
    one, other = two_pods(world)
    await one.ask()
    await published(world)
    await other.ask()
    calls = len(world.calls)
    assert (await other.ask()).outcome == "hit"
    assert other.at_hand("Hello.", AudioFormat.WAV) is not None
    assert len(world.calls) == calls


@in_virtual_time
async def test_forty_equal_requests_at_once_at_both_are_one_synthesis() -> None:
    world = World()
    pods = two_pods(world)
    takes = await asyncio.gather(*(pods[number % 2].ask() for number in range(40)))
    assert made(*pods) == 1
    assert sorted(take.outcome for take in takes) == ["coalesced"] * 39 + ["miss"]
    assert len({take.id for take in takes}) == 1
    assert all(np.array_equal(take.samples, speech_of("Hello.")) for take in takes)
    assert world.calls.count("get") == 2


@in_virtual_time
async def test_what_was_made_long_ago_is_a_hit_with_its_age_though_the_first_look_for_it_failed() -> None:
    world = World()
    one, other = two_pods(world)
    await one.ask()
    await published(world)
    await asyncio.sleep(500)
    name = other.cache.name(saying())
    takes = [
        await other.cache.obtain(name, other.engine.make("Hello."), CacheWish(), erasures=0)
        for _ in range(2)  # from where pods share it, and from memory
    ]
    for take in takes:
        assert (take.outcome, take.age_seconds) == ("hit", pytest.approx(502))
        await take.aclose()
    assert made(other) == 0


@in_virtual_time
async def test_a_look_that_its_first_caller_left_is_made_by_the_others() -> None:
    world = World()
    one, other = two_pods(world)
    await one.ask()
    await published(world)
    first = asyncio.create_task(other.ask())
    others = [asyncio.create_task(other.ask()) for _ in range(2)]
    await asyncio.sleep(0)
    first.cancel()
    assert [take.outcome for take in await asyncio.gather(*others)] == ["hit", "hit"]
    tier = other.cache._shared
    assert tier is not None
    assert tier._looks == {}


@in_virtual_time
async def test_the_work_goes_on_for_another_pod_when_its_own_listeners_have_left() -> None:
    world = World()
    one, other = two_pods(world)
    leader = asyncio.create_task(one.ask())
    await asyncio.sleep(0.5)
    waiting = asyncio.create_task(other.ask())
    await asyncio.sleep(SECONDS_PER_PIECE)
    leader.cancel()
    take = await waiting
    assert (take.outcome, take.age_seconds) == ("coalesced", None)
    assert np.array_equal(take.samples, speech_of("Hello."))
    assert made(one, other) == 1
    assert (await one.ask()).outcome == "hit"


@in_virtual_time
async def test_who_comes_back_while_the_others_are_asked_for_joins_again() -> None:
    world = World()
    one, other = two_pods(world)
    leader = asyncio.create_task(one.ask())
    await asyncio.sleep(1.5)
    waiting = asyncio.create_task(other.ask())
    await asyncio.sleep(0.1)
    leader.cancel()
    await asyncio.sleep(0.1)
    assert (await one.ask()).outcome == "coalesced"
    await waiting
    assert made(one, other) == 1


@in_virtual_time
async def test_who_comes_while_the_others_are_asked_for_keeps_the_work_going_though_they_want_nothing() -> None:
    world = World()
    pod, _ = two_pods(world)
    leader = asyncio.create_task(pod.ask())
    await asyncio.sleep(1.5)
    world.answers_after_seconds = 0.5
    leader.cancel()
    await asyncio.sleep(0.25)
    take = await pod.cache.obtain(pod.cache.name(saying()), pod.engine.make("Hello."), CacheWish(), erasures=0)
    assert (await heard(take)).outcome == "coalesced"
    await take.aclose()
    assert made(pod) == 1


@in_virtual_time
async def test_where_nobody_waits_the_work_ends_and_the_right_to_it_is_free() -> None:
    world = World()
    one, other = two_pods(world)
    leader = asyncio.create_task(one.ask())
    await asyncio.sleep(1.5)
    leader.cancel()
    await asyncio.sleep(0.1)
    assert world.leases == {}
    began = now()
    assert (await other.ask()).outcome == "miss"
    assert now() - began == pytest.approx(3 * SECONDS_PER_PIECE)
    assert one.engine.spoken == 1


@in_virtual_time
async def test_when_a_pod_dies_another_one_takes_over() -> None:
    world = World()
    one, other = two_pods(world)
    dead = asyncio.create_task(one.ask())
    await asyncio.sleep(1.5)
    token = world.leases[NAME].token
    waiting = asyncio.create_task(other.ask())
    await asyncio.sleep(0.1)
    die(one, world)
    take = await waiting
    assert take.outcome == "miss"
    assert np.array_equal(take.samples, speech_of("Hello."))
    assert now() <= 1.5 + LEASE_SECONDS + POLL_SECONDS + 3 * SECONDS_PER_PIECE
    assert not await SharedMemory(world).publish(NAME, b"late", token)
    dead.cancel()


def die(pod: Pod, world: World) -> None:
    """From now on it says nothing any more to the place that the pods share."""
    nowhere = World(away=True)
    tier = pod.cache._shared
    assert tier is not None
    assert isinstance(tier._shared, SharedMemory)
    tier._shared._world = nowhere
    assert world is not nowhere


@in_virtual_time
async def test_a_lease_lasts_as_long_as_the_speech_takes() -> None:
    world = World()
    one, other = two_pods(world)
    one.engine.pieces = 20
    takes = await asyncio.gather(one.ask(), other.ask())
    assert made(one, other) == 1
    assert [take.outcome for take in takes] == ["miss", "coalesced"]


@in_virtual_time
async def test_a_failure_leaves_it_to_the_next_pod() -> None:
    world = World()
    one, other = two_pods(world)
    one.engine.refuses = EngineError("broken")
    failed, take = await asyncio.gather(one.ask(), other.ask(), return_exceptions=True)
    assert isinstance(failed, EngineError)
    assert not isinstance(take, BaseException)
    assert take.outcome == "miss"


@in_virtual_time
async def test_nobody_waits_for_speech_that_found_no_room() -> None:
    world = World(full=True)
    one, other = two_pods(world)
    takes = await asyncio.gather(one.ask(), other.ask())
    assert [take.outcome for take in takes] == ["miss", "miss"]
    assert now() == pytest.approx(2 * 3 * SECONDS_PER_PIECE)
    await one.cache.close()
    await other.cache.close()
    assert world.leases == {}


@in_virtual_time
async def test_nobody_waits_for_ever() -> None:
    world = World()
    one, other = two_pods(world)
    one.engine.pieces = 10_000
    endless = asyncio.create_task(one.ask())
    await asyncio.sleep(0.5)
    began = now()
    assert (await other.ask()).outcome == "miss"
    assert PATIENCE_SECONDS <= now() - began <= PATIENCE_SECONDS + POLL_SECONDS + 3 * SECONDS_PER_PIECE
    endless.cancel()


@in_virtual_time
async def test_where_the_place_is_away_each_pod_goes_on_alone() -> None:
    world = World(away=True)
    one, other = two_pods(world)
    takes = await asyncio.gather(one.ask(), one.ask(), other.ask())
    assert [take.outcome for take in takes] == ["miss", "coalesced", "miss"]
    assert (await one.ask()).outcome == "hit"
    world.away = False
    assert (await one.ask("Another.")).outcome == "miss"


@in_virtual_time
async def test_a_damaged_entry_is_a_miss_and_is_replaced() -> None:
    world = World(blobs={NAME: b"damaged"})
    one, other = two_pods(world)
    assert (await one.ask()).outcome == "miss"
    await world.until(lambda: world.blobs[NAME] != b"damaged")
    assert (await other.ask()).outcome == "hit"


@in_virtual_time
async def test_a_new_take_is_the_one_that_other_pods_find() -> None:
    world = World()
    one, other = two_pods(world)
    old = await one.ask()
    await published(world)
    before = world.blobs[NAME]
    new = await one.ask(wish=CacheWish(reuse=False))
    await world.until(lambda: world.blobs[NAME] is not before)
    found = await other.ask()
    assert found.id == new.id != old.id


@in_virtual_time
async def test_a_pod_that_hears_of_a_new_take_drops_its_copy_of_the_old_one() -> None:
    world = World()
    one, other = two_pods(world)
    await one.ask()
    await published(world)
    await other.ask()
    before = world.blobs[NAME]
    new = await one.ask(wish=CacheWish(reuse=False))
    await world.until(lambda: world.blobs[NAME] is not before)
    other.cache.replaced(NAME.key)
    other.cache.replaced("f" * 64)
    assert (await other.ask()).id == new.id


@in_virtual_time
async def test_what_was_said_is_found_at_the_other_pods_and_what_is_being_said_is_not_waited_for() -> None:
    world = World()
    one, other = two_pods(world)
    making = asyncio.create_task(one.ask())
    await asyncio.sleep(1.5)
    assert await other.find() is None
    await making
    await published(world)
    take = await other.find()
    assert take is not None
    assert take.outcome == "hit"
    assert made(one, other) == 1


@in_virtual_time
async def test_a_pod_that_ends_shares_first_what_it_has_said() -> None:
    world = World()
    pod, _ = two_pods(world)
    await pod.ask()
    world.answers_after_seconds = 1.0
    await pod.cache.close()
    assert NAME in world.blobs


class TestTooLong:
    """Speech that no pod may keep."""

    LIMIT_BYTES = 100 + 3 * PIECE_SAMPLES

    @in_virtual_time
    async def test_other_pods_wait_only_until_that_is_known(self) -> None:
        world = World()
        one, other = two_pods(world, max_entry_bytes=self.LIMIT_BYTES)
        one.engine.pieces = 100
        endless = asyncio.create_task(one.ask())
        await asyncio.sleep(0.5)
        take = await other.ask()
        assert take.outcome == "miss"
        assert now() <= 3 * SECONDS_PER_PIECE + POLL_SECONDS + 4 * SECONDS_PER_PIECE
        endless.cancel()

    @in_virtual_time
    async def test_who_comes_later_waits_for_nobody_and_holds_nobody_up(self) -> None:
        world = World()
        one, other = two_pods(world, max_entry_bytes=self.LIMIT_BYTES)
        await one.ask()
        await published(world)
        assert decode(world.blobs[NAME], key=NAME.key) == TooLong(self.LIMIT_BYTES)
        world.calls.clear()
        assert (await other.ask()).outcome == "miss"
        assert world.calls == ["get", "claim"]
        assert world.leases == {}

    @in_virtual_time
    async def test_a_pod_that_may_keep_more_keeps_it(self) -> None:
        world = World()
        await a_pod(world, max_entry_bytes=self.LIMIT_BYTES).ask()
        await published(world)
        mark = world.blobs[NAME]
        await a_pod(world).ask()
        await world.until(lambda: world.blobs[NAME] is not mark)
        assert (await a_pod(world).ask()).outcome == "hit"
