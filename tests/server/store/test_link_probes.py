"""When does a probe close the breaker?  Once Redis answers as promptly as a read needs it, and in any case some day."""

from __future__ import annotations

import asyncio

import pytest

from tests.fault_proxy import PASS, FaultProxy, slow
from tests.redis_server import RedisServer
from tests.server.store.registries import linked
from timbre_server.errors import StoreUnavailable
from timbre_server.settings import RedisSettings
from timbre_server.store.link import RedisLink


async def test_the_breaker_closes_once_redis_answers_as_promptly_as_a_read_needs_it(
    redis_server: RedisServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    prompt = asyncio.Event()
    answered = 0
    ping = RedisLink._ping

    async def counted(link: RedisLink) -> None:
        nonlocal answered
        await ping(link)
        answered += 1
        prompt.set()
        prompt.clear()

    monkeypatch.setattr(RedisLink, "_ping", counted)
    with FaultProxy(redis_server.port) as proxy:
        proxy.become(slow(0.2))
        settings = RedisSettings(url=proxy.url, breaker_failures=1, breaker_probe_seconds=0.01)
        async with linked(settings.model_copy(update={"read_timeout_seconds": 0.1})) as link, asyncio.timeout(20):
            with pytest.raises(StoreUnavailable):
                await link.read(lambda client: client.get("timbre:1:test"))
            while answered < 3:
                await prompt.wait()
                await asyncio.sleep(0)
                assert link.breaker_open
            proxy.become(PASS)
            while link.breaker_open:
                await prompt.wait()
                await asyncio.sleep(0)


async def test_a_probe_that_fails_in_an_unforeseen_way_leaves_no_breaker_open(
    own_redis: RedisServer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    async def fails(_: RedisLink) -> None:
        raise ValueError("a library that does what it never did")

    async with linked(RedisSettings(url=own_redis.url, breaker_failures=1)) as link, asyncio.timeout(20):
        own_redis.kill()
        monkeypatch.setattr(RedisLink, "_find_way", fails)
        with pytest.raises(StoreUnavailable):
            await link.read(lambda client: client.get("timbre:1:test"))
        assert link._probing is not None
        await asyncio.wait({link._probing})
        await asyncio.sleep(0)
        assert not link.breaker_open
        assert "callers ask again" in caplog.text
        own_redis.start()
