"""Every problem of a Redis, made for real."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import closing

import pytest
import redis
import redis.exceptions

from tests.fault_proxy import BLACK_HOLE, RESET, FaultProxy, cut_after
from tests.full_disk import fill_disk, make_room
from tests.operator.redis_probe.targets import at, plain, sentinel
from tests.redis_server import RedisServer, free_port
from tests.redis_topologies import RedisSentinelServers
from timbre_operator.observed import RedisFacts, RedisProblem
from timbre_operator.ports import RedisTarget
from timbre_operator.redis_probe import NetworkRedisProbe

_SECRET = "correct horse battery staple"


async def _look(target: RedisTarget) -> RedisFacts:
    return await NetworkRedisProbe().look(target)


async def test_nobody_listens() -> None:
    facts = await _look(at(free_port()))
    assert facts.problem is RedisProblem.UNREACHABLE
    assert "111" in facts.detail or "refused" in facts.detail


async def test_the_name_does_not_resolve() -> None:
    facts = await _look(RedisTarget(mode="standalone", address="no-such-redis.invalid:6379"))
    assert facts.problem is RedisProblem.UNREACHABLE
    assert "no-such-redis.invalid" in facts.detail


async def test_a_server_that_says_nothing_is_waited_for_a_short_while_only(redis_server: RedisServer) -> None:
    with FaultProxy(redis_server.port) as proxy:
        proxy.become(BLACK_HOLE)
        facts = await _look(at(proxy.port))
    assert facts.problem is RedisProblem.UNREACHABLE
    assert "Timeout" in facts.detail


async def test_connections_that_break_are_told(redis_server: RedisServer) -> None:
    with FaultProxy(redis_server.port) as proxy:
        for fault in (RESET, cut_after(10)):
            proxy.become(fault)
            assert (await _look(at(proxy.port))).problem is RedisProblem.UNREACHABLE


async def test_something_else_listens() -> None:
    async def talk(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        writer.close()

    async with await asyncio.start_server(talk, "127.0.0.1", 0) as server:
        facts = await _look(at(server.sockets[0].getsockname()[1]))
    assert facts.problem is RedisProblem.UNREACHABLE


async def test_a_wrong_password_is_told_and_not_repeated(own_redis: RedisServer) -> None:
    with redis.Redis(port=own_redis.port) as client:
        client.config_set("requirepass", "right")
    facts = await _look(plain(own_redis, password=_SECRET))
    assert facts.problem is RedisProblem.AUTH_FAILED
    assert _SECRET not in str(facts)


async def test_a_missing_password_is_told(own_redis: RedisServer) -> None:
    with redis.Redis(port=own_redis.port) as client:
        client.config_set("requirepass", "right")
    assert (await _look(plain(own_redis))).problem is RedisProblem.AUTH_FAILED


async def test_a_user_that_does_not_exist_is_told(own_redis: RedisServer) -> None:
    facts = await _look(plain(own_redis, username="nobody", password=_SECRET))
    assert facts.problem is RedisProblem.AUTH_FAILED


async def test_a_user_that_may_not_ask_is_told_which_right_it_lacks(own_redis: RedisServer) -> None:
    with redis.Redis(port=own_redis.port) as client:
        client.acl_setuser("voices", enabled=True, passwords=[f"+{_SECRET}"], keys=["timbre:1:*"], commands=["+get"])
    facts = await _look(plain(own_redis, username="voices", password=_SECRET))
    assert facts.problem is RedisProblem.AUTH_FAILED
    assert "'info'" in facts.detail


async def test_a_sentinel_that_wants_a_password_is_told() -> None:
    servers = RedisSentinelServers()
    try:
        with redis.Redis(port=servers.port) as guard:
            guard.execute_command("ACL", "SETUSER", "default", "resetpass", f">{_SECRET}")
        assert (await _look(sentinel(servers))).problem is RedisProblem.AUTH_FAILED
        assert (await _look(sentinel(servers, sentinel_password=_SECRET))).problem is None
    finally:
        servers.close()


async def test_a_server_that_reads_its_file_is_loading() -> None:
    server = RedisServer("--enable-debug-command", "local", "--loading-process-events-interval-bytes", "1024")
    try:
        with redis.Redis(port=server.port) as client:
            client.execute_command("DEBUG", "POPULATE", 20_000)
            client.config_set("key-load-delay", 300)  # microseconds for each key: the file takes seconds
            reloading = asyncio.create_task(asyncio.to_thread(client.execute_command, "DEBUG", "RELOAD"))
            facts = await _look(plain(server))
            while facts.problem is None and not reloading.done():
                facts = await _look(plain(server))
            server.kill()
            with pytest.raises(redis.exceptions.ConnectionError):
                await reloading
    finally:
        server.close()
    assert facts.problem is RedisProblem.LOADING


@pytest.mark.parametrize("policy", ["allkeys-lru", "allkeys-lfu", "allkeys-random"])
async def test_a_policy_that_evicts_voices_is_told(own_redis: RedisServer, policy: str) -> None:
    with redis.Redis(port=own_redis.port) as client:
        client.config_set("maxmemory", "100mb")
        client.config_set("maxmemory-policy", policy)
    facts = await _look(plain(own_redis))
    assert (facts.problem, facts.policy) == (RedisProblem.POLICY_EVICTS_VOICES, policy)


async def test_a_replica_is_told(redis_sentinel: RedisSentinelServers) -> None:
    assert (await _look(plain(redis_sentinel.replica))).problem is RedisProblem.READ_ONLY


def _enrol(client: redis.Redis, voices: int) -> None:
    for number in range(voices):
        client.set(f"voice:{number}", b"x" * 100_000)


async def test_a_server_full_of_voices_is_told_until_one_is_deleted(own_redis: RedisServer) -> None:
    probe = NetworkRedisProbe()
    with redis.Redis(port=own_redis.port) as client:
        client.config_set("maxmemory", "4mb")
        client.config_set("maxmemory-policy", "volatile-lru")
        assert (await probe.look(plain(own_redis))).problem is None
        with pytest.raises(redis.exceptions.OutOfMemoryError):
            _enrol(client, 100)
        client.set("lease", "1", ex=5)  # something that could go, and would not help
        assert (await probe.look(plain(own_redis))).problem is RedisProblem.FULL
        assert (await probe.look(plain(own_redis))).problem is RedisProblem.FULL  # nobody tried again
        client.delete(*[f"voice:{number}" for number in range(10)])
        assert (await probe.look(plain(own_redis))).problem is None


async def test_a_server_full_of_caches_is_as_it_should_be(own_redis: RedisServer) -> None:
    probe = NetworkRedisProbe()
    with redis.Redis(port=own_redis.port) as client:
        client.config_set("maxmemory", "4mb")
        client.config_set("maxmemory-policy", "volatile-lru")
        for number in range(100):
            client.set(f"features:{number}", b"x" * 100_000, ex=3600)
        assert client.info("stats")["evicted_keys"] > 0
        assert (await probe.look(plain(own_redis))).problem is None


@pytest.fixture
def writing(writing_redis: RedisServer) -> Iterator[tuple[RedisServer, redis.Redis]]:
    """A server with an append-only file, and somebody who may do everything there."""
    with redis.Redis(port=writing_redis.port) as client:
        yield writing_redis, client


async def test_a_full_disk_is_told_in_the_servers_words_until_there_is_room(
    writing: tuple[RedisServer, redis.Redis],
) -> None:
    server, client = writing
    assert (await _look(plain(server))).problem is None
    fill_disk(server.folder, client)
    facts = await _look(plain(server))
    assert facts.problem is RedisProblem.DISK_WRITE_FAILED
    assert facts.detail == 'it says "MISCONF Errors writing to the AOF file: No space left on device"'
    make_room(client)
    assert (await _look(plain(server))).problem is None


async def test_a_full_disk_is_found_by_a_user_that_may_not_ping(writing: tuple[RedisServer, redis.Redis]) -> None:
    server, client = writing
    client.acl_setuser("looks", enabled=True, passwords=[f"+{_SECRET}"], commands=["+info"])
    fill_disk(server.folder, client)
    facts = await _look(plain(server, username="looks", password=_SECRET))
    assert facts.problem is RedisProblem.DISK_WRITE_FAILED
    assert facts.detail == 'it says "aof_last_write_status:err"'


async def test_a_snapshot_that_failed_is_told_where_it_stops_writes() -> None:
    with (
        closing(RedisServer("--save", "3600 1", "--dbfilename", "voices.rdb")) as server,
        redis.Redis(port=server.port) as client,
    ):
        (server.folder / "voices.rdb" / "in the way").mkdir(parents=True)
        client.bgsave()
        while client.info("persistence")["rdb_bgsave_in_progress"]:
            pass
        facts = await _look(plain(server))
        assert facts.problem is RedisProblem.DISK_WRITE_FAILED
        assert "unable to persist to disk" in facts.detail
        client.config_set("stop-writes-on-bgsave-error", "no")
        assert client.info("persistence")["rdb_last_bgsave_status"] == "err"
        assert (await _look(plain(server))).problem is None


async def test_a_rewrite_that_failed_stops_nothing_and_is_no_problem(
    writing: tuple[RedisServer, redis.Redis],
) -> None:
    server, client = writing
    (server.folder / "appendonlydir" / "appendonly.aof.2.base.rdb" / "in the way").mkdir(parents=True)
    client.bgrewriteaof()
    while client.info("persistence")["aof_rewrite_in_progress"]:
        pass
    assert client.info("persistence")["aof_last_bgrewrite_status"] == "err"
    assert client.set("written", "all the same")
    assert (await _look(plain(server))).problem is None


async def test_connections_are_closed_after_a_look(own_redis: RedisServer) -> None:
    probe = NetworkRedisProbe()
    for _ in range(3):
        await probe.look(plain(own_redis))
    with redis.Redis(port=own_redis.port) as client:
        assert len(client.client_list()) == 1
