"""Who would lose voices at a restart is told, and really would; nobody else is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import redis

from tests.operator.redis_probe.targets import plain
from tests.redis_server import RedisServer
from timbre_operator.observed import RedisProblem
from timbre_operator.redis_probe import NetworkRedisProbe
from timbre_operator.redis_probe.replay import replays_with_rights

_KEY = "timbre:1:{studio.narrator}:voice"
_AOF = {"aof_enabled": 1}


@pytest.mark.parametrize(
    ("info", "does"),
    [
        ({"redis_version": "7.0.15"}, True),
        ({"redis_version": "7.4.9"}, True),
        ({"redis_version": "8.4.1"}, True),
        ({"redis_version": "8.6.0"}, False),
        ({"redis_version": "8.10.2"}, False),
        ({"redis_version": ""}, False),
        ({}, False),
        ({"redis_version": "7.2.4", "valkey_version": "8.1.8"}, True),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.1"}, True),
        ({"redis_version": "7.2.4", "valkey_version": "9.1.2"}, False),  # nobody here knows
        ({"redis_version": "7.2.4", "valkey_version": "9.2.0"}, False),
        ({"redis_version": "7.2.4", "valkey_version": "9.1"}, False),
        ({"redis_version": "7.0.15", "aof_enabled": 0}, False),
    ],
)
def test_releases_that_replay_with_rights_are_known(info: dict[str, Any], *, does: bool) -> None:
    assert replays_with_rights({**_AOF, **info}) is does


@contextmanager
def _server(default: str) -> Iterator[RedisServer]:
    """With an append-only file; ``admin`` may do everything, ``looks`` what the operator needs, ``blind`` not even ask."""
    users = (
        f"default off {default}",
        "admin on nopass ~* &* +@all",
        "looks on nopass +info +ping +acl|dryrun",
        "blind on nopass +info +ping",
    )
    options = [word for user in users for word in ("--user", *user.split())]
    server = RedisServer("--appendonly", "yes", "--appendfsync", "always", *options)
    try:
        yield server
    finally:
        server.close()


def _admin(server: RedisServer) -> redis.Redis:
    return redis.Redis(port=server.port, username="admin", password="any", decode_responses=True)


@pytest.mark.parametrize(
    "default",
    ["-@all", "+@all resetkeys", "+@all ~other:*", "+@all -hset ~*", "+@all ~*", "+@all ~timbre:*", "+@write ~*"],
)
async def test_a_server_that_would_drop_voices_is_told_and_one_that_would_not_is_not(default: str) -> None:
    with _server(default) as server:
        with _admin(server) as client:
            client.eval(f"redis.call('HSET', KEYS[1], 'a', 'x') redis.call('SET', '{_KEY}:2', 'y')", 1, _KEY)
        facts = await NetworkRedisProbe().look(plain(server, username="looks", password="any"))
        server.kill()
        server.start()
        with _admin(server) as client:
            dropped = not client.exists(_KEY)
    assert (facts.problem is RedisProblem.RESTART_DROPS_VOICES) is dropped
    if dropped:
        assert facts.detail.startswith('it says "')
        assert "no permissions" in facts.detail
    else:
        assert facts.problem is None


async def test_who_may_not_ask_asks_once_and_says_nothing() -> None:
    probe = NetworkRedisProbe()
    with _server("-@all") as server:
        for _ in range(3):
            assert (await probe.look(plain(server, username="blind", password="any"))).problem is None
        with _admin(server) as client:
            assert [(entry["username"], int(entry["count"])) for entry in client.acl_log()] == [("blind", 1)]


async def test_a_server_without_an_append_only_file_is_not_asked() -> None:
    with _server("-@all") as server:
        with _admin(server) as client:
            client.config_set("appendonly", "no")
        assert (await NetworkRedisProbe().look(plain(server, username="looks", password="any"))).problem is None
