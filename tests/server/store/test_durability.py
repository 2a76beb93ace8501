"""When a write counts as done: with the master alone, with replicas, with the disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest
import redis

from tests.redis_server import RedisServer
from tests.redis_topologies import RedisClusterServers, RedisSentinelServers
from tests.server.store.registries import UNHURRIED, a_consent, a_voice, linked, unhurried
from timbre_contract.keys import ServiceKeys
from timbre_server.errors import ConfigurationError, StoreUnavailable
from timbre_server.settings import RedisSettings
from timbre_server.store.link import RedisLink
from timbre_server.store.redis_voices import RedisVoiceStore


def _with(settings: RedisSettings, **changes: object) -> RedisSettings:
    return settings.model_copy(update={**UNHURRIED, **changes})


def _knows_waitaof(server: RedisServer) -> bool:
    with redis.Redis.from_url(server.url) as plain:
        major, minor, *_ = plain.info("server")["redis_version"].split(".")
    return (int(major), int(minor)) >= (7, 2)


async def test_a_write_that_a_replica_confirms_is_done_and_is_there(
    redis_sentinel: RedisSentinelServers, scope: str
) -> None:
    async with linked(_with(redis_sentinel.settings, wait_replicas=1)) as link:
        store = RedisVoiceStore(link, ServiceKeys(scope))
        await store.add_voice(a_voice(), b"1")
        assert (await store.replace_voice(a_voice(), b"2")).after.generation == 2
        await store.add_consent(a_consent())
        with redis.Redis.from_url(redis_sentinel.replica.url) as replica:
            assert replica.hget(ServiceKeys(scope).voice("default", "voice_1"), "reference") == b"2"


@pytest.mark.parametrize("topology", ["standalone", "cluster"])
async def test_a_write_that_too_few_replicas_confirm_is_reported_and_may_have_happened(
    redis_server: RedisServer, redis_cluster: RedisClusterServers, scope: str, topology: str
) -> None:
    settings = redis_cluster.settings if topology == "cluster" else RedisSettings(url=redis_server.url)
    async with linked(_with(settings, wait_replicas=1, wait_timeout_seconds=0.05)) as link:
        store = RedisVoiceStore(link, ServiceKeys(scope))
        with pytest.raises(StoreUnavailable, match="was made, but may not survive"):
            await store.add_voice(a_voice(), b"1")
        assert await store.voice("default", "voice_1") == a_voice()
        assert not link.breaker_open


async def test_a_script_that_the_server_has_forgotten_is_confirmed_too(
    redis_sentinel: RedisSentinelServers, scope: str
) -> None:
    async with linked(_with(redis_sentinel.settings, wait_replicas=1)) as link:
        store = RedisVoiceStore(link, ServiceKeys(scope))
        await link.write(lambda client: client.script_flush())
        await store.add_voice(a_voice(), b"1")
        with redis.Redis.from_url(redis_sentinel.replica.url) as replica:
            assert replica.exists(ServiceKeys(scope).voice("default", "voice_1"))


async def test_a_write_that_the_master_refuses_for_want_of_replicas_did_not_happen(
    own_redis: RedisServer, scope: str
) -> None:
    with redis.Redis.from_url(own_redis.url) as plain:
        plain.config_set("min-replicas-to-write", 1)
    async with linked(unhurried(own_redis)) as link:
        store = RedisVoiceStore(link, ServiceKeys(scope))
        with pytest.raises(StoreUnavailable, match="lost its replicas"):
            await store.add_voice(a_voice(), b"1")
        assert await store.voices("default", after=None, limit=1) == ([], False)
        assert not link.breaker_open


@pytest.mark.parametrize("topology", ["standalone", "cluster"])
async def test_a_redis_that_cannot_wait_for_its_disk_stops_the_start_and_says_what_to_do(
    redis_server: RedisServer, redis_cluster: RedisClusterServers, topology: str
) -> None:
    settings = redis_cluster.settings if topology == "cluster" else RedisSettings(url=redis_server.url)
    if _knows_waitaof(redis_server):  # then it is the append-only file that is missing
        link, reason = RedisLink(_with(settings, wait_aof=True)), "appendonly yes"
    else:
        link, reason = RedisLink(_with(settings, wait_aof=True)), "needs Redis 7.2 or newer"
    with pytest.raises(ConfigurationError, match=reason):
        await link.start()
    await link.close()


async def test_a_disk_that_cannot_confirm_is_reported_where_the_start_could_not_know(
    redis_server: RedisServer, scope: str
) -> None:
    link = RedisLink(_with(RedisSettings(url=redis_server.url), wait_aof=True))  # not started: Redis was away then
    with pytest.raises(StoreUnavailable, match="its disk did not confirm"):
        await RedisVoiceStore(link, ServiceKeys(scope)).add_voice(a_voice(), b"1")
    await link.close()


@asynccontextmanager
async def redis_7_2_whose_disk(*, confirms: bool) -> AsyncIterator[RedisSettings]:
    """Answers as Redis 7.2 with an append-only file does, for machines with an older one."""
    answers = {
        b"PING": b"+PONG\r\n",
        b"INFO server": b"$19\r\nredis_version:7.2.0\r\n",
        b"INFO persistence": b"$13\r\naof_enabled:1\r\n",
        b"EVALSHA": b":1\r\n",
        b"WAITAOF": b"*2\r\n:%d\r\n:0\r\n" % confirms,
    }

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while count := (await reader.readline())[1:-2]:
            words = []
            for _ in range(int(count)):
                length = int((await reader.readline())[1:])
                words.append((await reader.readexactly(length + 2))[:-2])
            writer.write(answers.get(b" ".join(words[:2])) or answers[words[0]])
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        yield _with(RedisSettings(url=f"redis://127.0.0.1:{port}"), wait_aof=True)


async def test_a_write_is_done_once_the_disk_has_confirmed_it() -> None:
    async with redis_7_2_whose_disk(confirms=True) as settings, linked(settings) as link:
        assert (await RedisVoiceStore(link, ServiceKeys("played")).add_voice(a_voice(), b"1")).generation == 1


async def test_a_write_that_the_disk_does_not_confirm_in_time_is_reported() -> None:
    async with redis_7_2_whose_disk(confirms=False) as settings, linked(settings) as link:
        with pytest.raises(StoreUnavailable, match="its disk did not confirm"):
            await RedisVoiceStore(link, ServiceKeys("played")).add_voice(a_voice(), b"1")


async def test_a_write_that_the_disk_confirms_is_done(redis_server: RedisServer, scope: str) -> None:
    if not _knows_waitaof(redis_server):
        pytest.skip("this Redis is older than 7.2 and has no WAITAOF")
    server = RedisServer("--appendonly", "yes", "--appendfsync", "everysec")
    try:
        async with linked(_with(RedisSettings(url=server.url), wait_aof=True, wait_timeout_seconds=10.0)) as link:
            store = RedisVoiceStore(link, ServiceKeys(scope))
            await store.add_voice(a_voice(), b"1")
            with redis.Redis.from_url(server.url) as plain:
                waits = plain.info("commandstats")["cmdstat_waitaof"]
            server.kill()
        assert waits["calls"]
        assert (waits["rejected_calls"], waits["failed_calls"]) == (0, 0)
        server.start()
        async with linked(unhurried(server)) as link:
            assert await RedisVoiceStore(link, ServiceKeys(scope)).voice("default", "voice_1") == a_voice()
    finally:
        server.close()
