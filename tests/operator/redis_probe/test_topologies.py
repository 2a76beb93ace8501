"""Every way that a Redis can stand there is looked at for real."""

from __future__ import annotations

import asyncio
import socket
import ssl

import redis

from tests.operator.redis_probe.targets import at, cluster, plain, sentinel, tls
from tests.redis_server import RedisServer, free_port
from tests.redis_topologies import RedisClusterServers, RedisSentinelServers, TlsRedisServer
from timbre_operator.observed import RedisProblem
from timbre_operator.ports import RedisTarget
from timbre_operator.redis_probe import NetworkRedisProbe


async def test_one_server_tells_its_version_its_policy_and_its_memory(redis_server: RedisServer) -> None:
    facts = await NetworkRedisProbe().look(plain(redis_server))
    assert (facts.problem, facts.detail) == (None, "")
    assert facts.address == f"127.0.0.1:{redis_server.port}"
    assert facts.version[:1].isdigit() or facts.version.startswith("Valkey ")
    assert (facts.policy, facts.max_bytes) == ("volatile-lru", 1 << 30)
    assert 0 < facts.used_bytes < 1 << 30


async def test_the_master_is_found_through_the_sentinels(redis_sentinel: RedisSentinelServers) -> None:
    facts = await NetworkRedisProbe().look(sentinel(redis_sentinel))
    assert (facts.problem, facts.detail) == (None, "")
    assert facts.address == f"127.0.0.1:{redis_sentinel.port}"


async def test_a_sentinel_that_is_gone_is_passed_over(redis_sentinel: RedisSentinelServers) -> None:
    addresses = f"127.0.0.1:{free_port()},127.0.0.1:{redis_sentinel.port}"
    assert (await NetworkRedisProbe().look(sentinel(redis_sentinel, address=addresses))).problem is None


async def test_a_master_that_no_sentinel_knows_is_named_with_its_field(redis_sentinel: RedisSentinelServers) -> None:
    facts = await NetworkRedisProbe().look(sentinel(redis_sentinel, sentinel_master="other"))
    assert facts.problem is RedisProblem.UNREACHABLE
    assert facts.detail == "the Sentinels know no master other; correct spec.redis.external.sentinel.master"


async def test_sentinels_that_are_all_gone_are_told() -> None:
    target = RedisTarget(mode="sentinel", address=f"127.0.0.1:{free_port()}", sentinel_master="mymaster")
    facts = await NetworkRedisProbe().look(target)
    assert facts.problem is RedisProblem.UNREACHABLE
    assert facts.detail.startswith("no Sentinel answers: ")


async def test_a_server_is_no_sentinel(redis_server: RedisServer) -> None:
    facts = await NetworkRedisProbe().look(plain(redis_server, mode="sentinel"))
    assert facts.problem is RedisProblem.UNREACHABLE
    assert "unknown command" in facts.detail


async def test_the_masters_of_a_cluster_are_added_up(redis_cluster: RedisClusterServers) -> None:
    facts = await NetworkRedisProbe().look(cluster(redis_cluster))
    assert (facts.problem, facts.detail) == (None, "")
    assert facts.max_bytes == 3 * (256 << 20)


async def test_the_guilty_node_of_a_cluster_is_named(redis_cluster: RedisClusterServers) -> None:
    third = redis_cluster.nodes[2][0]
    with redis.Redis(port=third.port) as node:
        node.config_set("maxmemory-policy", "allkeys-lru")
        try:
            facts = await NetworkRedisProbe().look(cluster(redis_cluster))
        finally:
            node.config_set("maxmemory-policy", "volatile-lru")
    assert (facts.problem, facts.policy) == (RedisProblem.POLICY_EVICTS_VOICES, "allkeys-lru")
    assert facts.detail == f"at 127.0.0.1:{third.port}"


async def test_a_single_server_is_no_cluster(redis_server: RedisServer) -> None:
    facts = await NetworkRedisProbe().look(plain(redis_server, mode="cluster"))
    assert facts.problem is RedisProblem.UNREACHABLE
    assert facts.detail == "it is no cluster; remove spec.redis.external.mode"


async def test_a_cluster_with_a_hole_is_not_reachable() -> None:
    server = RedisServer("--cluster-enabled", "yes", "--cluster-port", str(free_port()))
    try:
        with redis.Redis(port=server.port) as node:
            node.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 9999)
        facts = await NetworkRedisProbe().look(plain(server, mode="cluster"))
    finally:
        server.close()
    assert facts.problem is RedisProblem.UNREACHABLE
    assert facts.detail == "the cluster serves 10000 of its 16384 slots; repair it"


async def test_tls_both_ways_and_an_acl_user_are_enough(redis_tls: TlsRedisServer) -> None:
    facts = await NetworkRedisProbe().look(tls(redis_tls))
    assert (facts.problem, facts.detail) == (None, "")
    assert facts.policy == "noeviction"  # of INFO: this user may not ask CONFIG


async def test_a_bundle_with_comments_in_any_language_is_read(redis_tls: TlsRedisServer) -> None:
    target = tls(redis_tls)
    facts = await NetworkRedisProbe().look(tls(redis_tls, ca_pem=f"# Főtanúsítvány\n{target.ca_pem}"))
    assert (facts.problem, facts.detail) == (None, "")


async def test_a_certificate_from_elsewhere_is_not_trusted(redis_tls: TlsRedisServer) -> None:
    facts = await NetworkRedisProbe().look(tls(redis_tls, ca_pem=""))
    assert facts.problem is RedisProblem.TLS_FAILED
    assert "self-signed certificate" in facts.detail


async def test_a_certificate_for_another_name_is_not_trusted(redis_tls: TlsRedisServer) -> None:
    facts = await NetworkRedisProbe().look(tls(redis_tls, address=f"127.1:{redis_tls.tls_port}"))
    assert facts.problem is RedisProblem.TLS_FAILED


async def test_a_server_that_wants_our_certificate_is_told_apart(redis_tls: TlsRedisServer) -> None:
    facts = await NetworkRedisProbe().look(tls(redis_tls, certificate_pem="", key_pem=""))
    assert facts.problem is RedisProblem.TLS_FAILED


async def test_a_server_that_hangs_up_on_who_shows_no_certificate_is_told_apart(redis_tls: TlsRedisServer) -> None:
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(redis_tls.folder / "tls" / "cert.pem", redis_tls.folder / "tls" / "key.pem")

    async def hang_up(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read(1)
        writer.transport.abort()

    async with await asyncio.start_server(hang_up, "localhost", 0, ssl=context, family=socket.AF_INET) as server:
        address = f"localhost:{server.sockets[0].getsockname()[1]}"
        without = await NetworkRedisProbe().look(tls(redis_tls, address=address, certificate_pem="", key_pem=""))
        with_one = await NetworkRedisProbe().look(tls(redis_tls, address=address))
    assert without.problem is RedisProblem.TLS_FAILED
    assert without.detail.startswith("it may want our certificate: ")
    assert with_one.problem is RedisProblem.UNREACHABLE


async def test_tls_to_a_server_without_it_is_told(redis_server: RedisServer, redis_tls: TlsRedisServer) -> None:
    facts = await NetworkRedisProbe().look(tls(redis_tls, address=f"127.0.0.1:{redis_server.port}"))
    assert facts.problem is RedisProblem.TLS_FAILED


async def test_no_tls_to_a_server_that_wants_it_is_told(redis_tls: TlsRedisServer) -> None:
    facts = await NetworkRedisProbe().look(at(redis_tls.tls_port))
    assert facts.problem is RedisProblem.UNREACHABLE


async def test_what_is_no_certificate_is_told_by_its_field() -> None:
    for wrong in ({"ca_pem": "no certificate"}, {"certificate_pem": "no certificate", "key_pem": "no key"}):
        facts = await NetworkRedisProbe().look(at(1, tls=True, **wrong))
        assert facts.problem is RedisProblem.TLS_FAILED
        assert "spec.redis.external.tls" in facts.detail
