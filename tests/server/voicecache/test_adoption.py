"""A recording that came with requests is enrolled: from then on it is kept and shared as any voice."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.redis_server import RedisServer
from tests.server.voicecache.pods import Fleet, a_fleet, a_pod, key_of


@pytest.fixture
async def fleet(redis_server: RedisServer, scope: str) -> AsyncIterator[Fleet]:
    async with a_fleet(redis_server.url, scope) as fleet:
        yield fleet


@pytest.mark.parametrize("device_entries", [None, 2])
async def test_no_one_off_pushes_out_a_voice_that_was_one(device_entries: int | None) -> None:
    pod = a_pod(host_entries=2, device_entries=device_entries)
    await pod.ask("a", one_off=True)
    nearest = await pod.ask("a")
    for number in range(5):
        await pod.ask(f"one-off {number}", one_off=True)
    assert await pod.ask("a") == nearest
    pod.cache.check_integrity()


async def test_who_asks_while_it_still_is_extracted_for_a_one_off_gets_a_voice_too() -> None:
    pod = a_pod(host_entries=2)
    await asyncio.gather(pod.ask("a", one_off=True), pod.ask("a"))
    for number in range(5):
        await pod.ask(f"one-off {number}", one_off=True)
    assert await pod.ask("a") == "host"
    assert pod.engine.extracted.count("a") == 1


@pytest.mark.parametrize("device_entries", [None, 2])
async def test_it_is_extracted_once_for_the_fleet(fleet: Fleet, device_entries: int | None) -> None:
    one, other = fleet.pod(device_entries=device_entries), fleet.pod()
    await one.ask("a", one_off=True)
    assert await fleet.blobs("a") == 0
    await one.ask("a")
    async with asyncio.timeout(10):
        await fleet.published("a")
    assert await other.ask("a") == "redis"
    await one.cache.close()
    one.cache.forget("a")
    async with asyncio.timeout(10):
        await one.cache.unused("a")  # nobody forgot to end a use
    one.cache.check_integrity()
    assert one.host.held_bytes == 0


async def test_it_is_shared_though_the_request_has_no_time_left_for_redis(fleet: Fleet) -> None:
    pod = fleet.pod()
    await pod.ask("a", one_off=True)
    with fleet.link.request_budget() as budget:
        budget.spend_all()
        assert await pod.ask("a") == "host"
    await pod.cache.close()
    assert await fleet.blobs("a") == 1


async def test_an_erasure_goes_before_the_sharing(fleet: Fleet) -> None:
    pod = fleet.pod()
    await pod.ask("a", one_off=True)
    before = pod.cache.erasures
    await pod.ask("a")
    pod.cache.forget("a")
    await pod.cache.close()
    assert before == 0
    assert await fleet.blobs("a") == 0
    assert not pod.host.holds(key_of("a"))
