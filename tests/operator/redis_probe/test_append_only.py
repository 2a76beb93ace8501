"""An append-only file that somebody turned off: who is told, and what turning it on again is worth."""

from __future__ import annotations

import pytest
import redis

from tests.operator.redis_probe.targets import cluster, plain
from tests.redis_server import RedisServer
from tests.redis_topologies import RedisClusterServers
from timbre_operator.observed import RedisProblem
from timbre_operator.redis_probe import NetworkRedisProbe

_ON = {"appendonly": "yes"}


@pytest.fixture
def turned_off(writing_redis: RedisServer) -> RedisServer:
    """A server whose file was turned off, and which was told something since."""
    with redis.Redis(port=writing_redis.port) as client:
        client.set("before", "kept")
        client.config_set("appendonly", "no")
        client.set("since", "in memory only")
    return writing_redis


async def test_it_is_a_problem_of_a_server_that_shall_have_one(turned_off: RedisServer) -> None:
    facts = await NetworkRedisProbe().look(plain(turned_off, appends=True))
    assert (facts.problem, facts.appends) == (RedisProblem.APPEND_ONLY_OFF, False)


async def test_of_any_other_server_it_is_told_and_no_problem(turned_off: RedisServer) -> None:
    facts = await NetworkRedisProbe().look(plain(turned_off))
    assert (facts.problem, facts.appends) == (None, False)


async def test_a_server_that_has_one_has_no_problem(writing_redis: RedisServer) -> None:
    facts = await NetworkRedisProbe().look(plain(writing_redis, appends=True))
    assert (facts.problem, facts.appends) == (None, True)


async def test_one_server_of_a_cluster_without_a_file_is_enough_to_be_told(redis_cluster: RedisClusterServers) -> None:
    assert (await NetworkRedisProbe().look(cluster(redis_cluster))).appends is False


async def test_turned_on_again_it_keeps_what_the_server_was_told_meanwhile(turned_off: RedisServer) -> None:
    probe = NetworkRedisProbe()
    assert await probe.tune(plain(turned_off), _ON) == {}
    assert (await probe.look(plain(turned_off, appends=True))).problem is None
    with redis.Redis(port=turned_off.port, decode_responses=True) as client:
        while client.info("persistence")["aof_rewrite_in_progress"]:
            pass
        turned_off.kill()
        turned_off.start()
        assert client.mget("before", "since") == ["kept", "in memory only"]


async def test_a_server_that_cannot_turn_it_on_says_so_and_keeps_its_problem(turned_off: RedisServer) -> None:
    folder = turned_off.folder / "appendonlydir"
    folder.rename(folder.with_name("moved"))
    folder.touch()
    probe = NetworkRedisProbe()
    refused = await probe.tune(plain(turned_off), _ON)
    assert "Unable to turn on AOF" in refused["appendonly"]
    assert (await probe.look(plain(turned_off, appends=True))).problem is RedisProblem.APPEND_ONLY_OFF
