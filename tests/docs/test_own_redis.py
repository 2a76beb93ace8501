"""The Redis that the page on operations describes lets servers and operator do all that they must, and no more."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
import redis

from examples.fleet_demo import HER, HIM, enrol, speak, upload
from examples.local_server import LocalServer
from tests.cluster.control_plane import ROOT
from tests.docs.pages import blocks
from tests.operator.redis_probe.targets import plain
from tests.redis_server import RedisServer, need_redis
from timbre_operator.redis_probe import NetworkRedisProbe

USER, PASSWORD = "timbre", "CHANGE-ME"
FILE = next(block.text for block in blocks(ROOT / "docs" / "operations.md") if block.text.startswith("maxmemory "))


@pytest.fixture
def told() -> Iterator[RedisServer]:
    """As the page tells it; a user ``admin`` looks at it for the tests."""
    need_redis()
    lines = [*FILE.splitlines(), "user admin on nopass ~* &* +@all"]
    with closing(
        RedisServer(*(word for key, *words in map(str.split, lines) for word in (f"--{key}", *words)))
    ) as server:
        yield server


@pytest.fixture
def admin(told: RedisServer) -> Iterator[redis.Redis]:
    with redis.Redis(port=told.port, username="admin", password="any", decode_responses=True) as client:
        yield client


@pytest.mark.slow
async def test_servers_and_operator_are_refused_nothing(told: RedisServer, admin: redis.Redis, tmp_path: Path) -> None:
    login = tmp_path / "password"
    login.write_text(PASSWORD, "utf-8")
    settings = {
        "ENGINE__NAME": "stub",
        "REDIS__URL": told.url,
        "REDIS__USERNAME": USER,
        "REDIS__PASSWORD_FILE": str(login),
        "SCOPE": "studio.narrator",
    }
    with LocalServer({**settings, "POD": "a"}) as one, LocalServer({**settings, "POD": "b"}) as other:
        voice = enrol(one, HER)
        assert speak(other, voice).tier == "redis"
        assert upload(other, "PUT", voice, HIM)["generation"] == 2
        erasure = upload(one, "DELETE", voice)["erasure"]
    facts = await NetworkRedisProbe().look(plain(told, username=USER, password=PASSWORD))

    assert (erasure["complete"], sorted(erasure["pods"]["acknowledged"])) == (True, ["a", "b"])
    assert (facts.problem, facts.detail) == (None, "")
    assert admin.acl_log() == []


@pytest.mark.parametrize("command", ["FLUSHALL", "CONFIG GET *", "ACL LIST", "SHUTDOWN", "KEYS *", "GET others"])
def test_who_has_the_password_can_neither_empty_it_nor_read_what_is_not_timbre_s(
    admin: redis.Redis, command: str
) -> None:
    assert "no permissions" in str(admin.execute_command("ACL DRYRUN", USER, *command.split()))


def test_the_client_of_a_cluster_may_ask_for_its_slots(admin: redis.Redis) -> None:
    assert admin.execute_command("ACL DRYRUN", USER, "CLUSTER", "SLOTS") == "OK"
