"""A voice that comes from the shared tier says how long that should take, once for all who wait for it."""

from __future__ import annotations

import asyncio

from tests.redis_server import RedisServer
from tests.server.voicecache.pods import a_fleet


async def test_a_voice_from_the_shared_tier_is_a_transfer_and_an_extraction_is_none(
    redis_server: RedisServer, scope: str
) -> None:
    async with a_fleet(redis_server.url, scope) as fleet:
        first, second = fleet.pod(), fleet.pod()
        assert await first.ask("a") == "extracted"
        await fleet.published("a")
        assert await second.ask("a") == "redis"
        assert await second.ask("a") == "host"

        assert first.recorder.transferred == []
        assert len(second.recorder.transferred) == 1
        assert second.recorder.transferred[0] > 0


async def test_many_who_wait_for_one_voice_wait_for_one_transfer(redis_server: RedisServer, scope: str) -> None:
    async with a_fleet(redis_server.url, scope) as fleet:
        first, second = fleet.pod(), fleet.pod()
        await first.ask("a")
        await fleet.published("a")
        assert set(await asyncio.gather(*(second.ask("a") for _ in range(5)))) == {"redis"}

        assert len(second.recorder.transferred) == 1


async def test_a_pod_that_waited_for_the_extraction_of_another_has_a_transfer(
    redis_server: RedisServer, scope: str
) -> None:
    async with a_fleet(redis_server.url, scope) as fleet:
        first, second = fleet.pod(), fleet.pod()
        first.engine.gate.clear()
        extracting = asyncio.create_task(first.ask("a"))
        await first.engine.started.wait()
        waiting = asyncio.create_task(second.ask("a"))
        first.engine.gate.set()

        assert (await extracting, await waiting) == ("extracted", "redis")
        assert len(second.recorder.transferred) == 1
