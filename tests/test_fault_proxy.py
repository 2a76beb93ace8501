"""The fault proxy: each fault is what it says, seen by a plain client of a real Redis."""

import socket
import time
from collections.abc import Iterator

import pytest
import redis

from tests.fault_proxy import BLACK_HOLE, PASS, REFUSE, RESET, FaultProxy, cut_after, slow
from tests.redis_server import RedisServer


@pytest.fixture
def proxy(redis_server: RedisServer) -> Iterator[FaultProxy]:
    with FaultProxy(redis_server.port) as running:
        yield running


@pytest.fixture
def client(proxy: FaultProxy, scope: str) -> Iterator[redis.Redis]:
    with redis.Redis.from_url(proxy.url, socket_timeout=0.3, socket_connect_timeout=0.3, retry=None) as connected:
        connected.set(scope, "v" * 1000)
        yield connected


def test_without_a_fault_nothing_is_noticed(client: redis.Redis, scope: str) -> None:
    assert client.get(scope) == b"v" * 1000
    assert client.set(scope, "w" * 1_000_000)
    assert client.get(scope) == b"w" * 1_000_000


def test_refused_connections_work_again_at_the_same_port_afterwards(
    proxy: FaultProxy, client: redis.Redis, scope: str
) -> None:
    proxy.become(REFUSE)
    for _ in range(2):  # the open connection ends, and a new one does not come about
        with pytest.raises(redis.ConnectionError):
            client.get(scope)
    proxy.become(PASS)
    assert client.get(scope) == b"v" * 1000


def test_a_black_hole_accepts_connections_and_answers_none(proxy: FaultProxy, client: redis.Redis, scope: str) -> None:
    proxy.become(BLACK_HOLE)
    accepted = proxy.connections
    for _ in range(2):
        with pytest.raises(redis.TimeoutError):
            client.get(scope)
    assert proxy.connections > accepted
    proxy.become(PASS)
    assert client.get(scope) == b"v" * 1000


def test_a_slow_line_delays_each_reply_once_however_long_it_is(
    proxy: FaultProxy, client: redis.Redis, scope: str
) -> None:
    client.set(scope, "v" * 1_000_000)
    proxy.become(slow(0.1))
    began = time.monotonic()
    assert client.get(scope) == b"v" * 1_000_000
    assert 0.1 <= time.monotonic() - began < 0.3


def test_a_reset_ends_the_connection_at_its_next_command(proxy: FaultProxy, client: redis.Redis, scope: str) -> None:
    proxy.become(RESET)
    with pytest.raises(redis.ConnectionError, match="reset"):
        client.get(scope)
    proxy.become(PASS)
    assert client.get(scope) == b"v" * 1000


def test_a_cut_reply_ends_in_its_middle(proxy: FaultProxy, client: redis.Redis, scope: str) -> None:
    with socket.create_connection(("127.0.0.1", proxy.port), timeout=5) as plain, plain.makefile("rwb") as stream:
        stream.write(b"PING\r\n")
        stream.flush()
        assert stream.readline() == b"+PONG\r\n"
        proxy.become(cut_after(500))
        stream.write(f"GET {scope}\r\n".encode())
        stream.flush()
        assert len(stream.read()) == 500
    proxy.become(PASS)
    assert client.get(scope) == b"v" * 1000


def test_dropped_connections_are_made_anew(proxy: FaultProxy, client: redis.Redis, scope: str) -> None:
    before = proxy.connections
    proxy.drop_connections()
    assert client.get(scope) == b"v" * 1000
    assert proxy.connections == before + 1
