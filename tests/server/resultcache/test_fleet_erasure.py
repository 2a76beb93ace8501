"""What is erased while several pods share, fetch or make it is left nowhere."""

import asyncio

import pytest

from tests.server.resultcache.sayings import VOICE
from tests.server.resultcache.shared_memory import SharedMemory, World
from tests.server.resultcache.stage import heard
from tests.server.resultcache.test_fleet import published, two_pods
from tests.virtual_time import in_virtual_time
from timbre_server.ports import CacheWish, ResultName


class TestErasure:
    """All speech of a recording, on all pods."""

    @in_virtual_time
    async def test_what_was_shared_is_gone_and_counted(self) -> None:
        world = World()
        one, other = two_pods(world)
        for text in ("Hello.", "Goodbye."):
            await one.ask(text)
        await published(world)
        await asyncio.sleep(1)
        assert await other.cache.erase(VOICE.digest) == 2
        assert world.blobs == {}
        assert await other.find() is None

    @in_virtual_time
    async def test_what_is_being_made_meanwhile_is_not_published_by_the_pod_that_has_not_heard(self) -> None:
        world = World()
        one, other = two_pods(world)
        making = asyncio.create_task(one.ask())
        await asyncio.sleep(1.5)
        await other.cache.erase(VOICE.digest)
        await making
        await asyncio.sleep(1)
        assert world.blobs == {}

    @in_virtual_time
    async def test_a_pod_that_has_heard_publishes_nothing_and_frees_its_lease(self) -> None:
        world = World()
        one, _ = two_pods(world)
        take = await one.take()
        one.cache.forget(VOICE.digest)
        await heard(take)
        await take.aclose()
        await asyncio.sleep(1)
        assert world.blobs == {}
        assert world.leases == {}

    @in_virtual_time
    async def test_what_was_fetched_while_it_was_erased_is_not_kept(self) -> None:
        world = World()
        one, other = two_pods(world)
        await one.ask()
        await published(world)
        asking = asyncio.create_task(other.ask())
        await asyncio.sleep(0)
        other.cache.forget(VOICE.digest)
        await asking
        assert other.memory.entries == 0

    @in_virtual_time
    async def test_a_new_take_that_is_being_published_is_erased_too(self, monkeypatch: pytest.MonkeyPatch) -> None:
        world = World()
        one, _ = two_pods(world)
        publish = SharedMemory.publish

        async def slowly(self: SharedMemory, name: ResultName, blob: bytes, token: str | None) -> bool:
            await asyncio.sleep(10)
            return await publish(self, name, blob, token)

        monkeypatch.setattr(SharedMemory, "publish", slowly)
        await one.ask(wish=CacheWish(reuse=False))
        await asyncio.sleep(1)
        assert await one.cache.erase(VOICE.digest) == 1
        assert world.blobs == {}
