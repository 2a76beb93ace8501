"""When a write counts as done: with the master alone, with replicas, with the disk."""

from __future__ import annotations

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


async def test_a_write_that_the_disk_confirms_is_done(redis_server: RedisServer, scope: str) -> None:
    if not _knows_waitaof(redis_server):
        pytest.skip("this Redis is older than 7.2 and has no WAITAOF")
    server = RedisServer("--appendonly", "yes", "--appendfsync", "everysec")
    try:
        async with linked(_with(RedisSettings(url=server.url), wait_aof=True, wait_timeout_seconds=10.0)) as link:
            store = RedisVoiceStore(link, ServiceKeys(scope))
            await store.add_voice(a_voice(), b"1")
            server.kill()
        server.start()
        async with linked(unhurried(server)) as link:
            assert await RedisVoiceStore(link, ServiceKeys(scope)).voice("default", "voice_1") == a_voice()
    finally:
        server.close()
