"""What a running Redis is told, and what it refuses."""

from __future__ import annotations

import redis

from tests.operator.redis_probe.targets import at, cluster, plain
from tests.redis_server import RedisServer, free_port
from tests.redis_topologies import RedisClusterServers
from timbre_operator.redis_probe import NetworkRedisProbe


async def test_memory_and_policy_are_set_while_it_runs(own_redis: RedisServer) -> None:
    settings = {"maxmemory": str(100 << 20), "maxmemory-policy": "volatile-lru"}
    assert await NetworkRedisProbe().tune(plain(own_redis), settings) == {}
    with redis.Redis(port=own_redis.port, decode_responses=True) as client:
        assert client.config_get("maxmemory", "maxmemory-policy") == settings


async def test_what_is_refused_comes_back_with_its_words_and_the_rest_is_set(own_redis: RedisServer) -> None:
    settings = {"maxmemory": "a lot", "no-such-setting": "1", "maxmemory-policy": "volatile-lru"}
    refused = await NetworkRedisProbe().tune(plain(own_redis), settings)
    assert set(refused) == {"maxmemory", "no-such-setting"}
    assert "memory value" in refused["maxmemory"]
    with redis.Redis(port=own_redis.port, decode_responses=True) as client:
        assert client.config_get("maxmemory-policy") == {"maxmemory-policy": "volatile-lru"}


async def test_a_user_that_may_not_set_is_refused_everything(own_redis: RedisServer) -> None:
    with redis.Redis(port=own_redis.port) as client:
        client.acl_setuser("voices", enabled=True, passwords=["+secret"], commands=["+info"])
    target = plain(own_redis, username="voices", password="secret")
    refused = await NetworkRedisProbe().tune(target, {"maxmemory": "1"})
    assert "no permissions" in refused["maxmemory"]


async def test_a_server_that_is_away_refuses_everything() -> None:
    refused = await NetworkRedisProbe().tune(at(free_port()), {"maxmemory": "1", "maxmemory-policy": "noeviction"})
    assert set(refused) == {"maxmemory", "maxmemory-policy"}


async def test_every_master_of_a_cluster_is_told(redis_cluster: RedisClusterServers) -> None:
    assert await NetworkRedisProbe().tune(cluster(redis_cluster), {"lfu-decay-time": "2"}) == {}
    for server, _ in redis_cluster.nodes:
        with redis.Redis(port=server.port, decode_responses=True) as node:
            assert node.config_get("lfu-decay-time") == {"lfu-decay-time": "2"}
