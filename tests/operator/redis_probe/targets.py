"""How the operator is told of the Redis servers of the tests."""

from __future__ import annotations

from typing import Any

from tests.redis_server import RedisServer
from tests.redis_topologies import RedisClusterServers, RedisSentinelServers, TlsRedisServer
from timbre_operator.ports import RedisTarget


def plain(server: RedisServer, **changes: Any) -> RedisTarget:
    known: dict[str, Any] = {"mode": "standalone", "address": f"127.0.0.1:{server.port}", **changes}
    return RedisTarget(**known)


def at(port: int, **changes: Any) -> RedisTarget:
    known: dict[str, Any] = {"mode": "standalone", "address": f"127.0.0.1:{port}", **changes}
    return RedisTarget(**known)


def cluster(servers: RedisClusterServers, **changes: Any) -> RedisTarget:
    addresses = ",".join(f"127.0.0.1:{node.port}" for node, _ in servers.nodes[:2])
    known: dict[str, Any] = {"mode": "cluster", "address": addresses, **changes}
    return RedisTarget(**known)


def sentinel(servers: RedisSentinelServers, **changes: Any) -> RedisTarget:
    known: dict[str, Any] = {
        "mode": "sentinel", "address": f"127.0.0.1:{servers.port}", "sentinel_master": "mymaster", **changes,
    }  # fmt: skip
    return RedisTarget(**known)


def tls(server: TlsRedisServer, **changes: Any) -> RedisTarget:
    folder = server.folder / "tls"
    certificate = (folder / "cert.pem").read_text("ascii")
    known: dict[str, Any] = {
        "mode": "standalone", "address": f"localhost:{server.tls_port}", "username": "timbre", "password": server.password,
        "tls": True, "ca_pem": certificate, "certificate_pem": certificate,
        "key_pem": (folder / "key.pem").read_text("ascii"), **changes,
    }  # fmt: skip
    return RedisTarget(**known)
