"""What every folder of tests may use."""

from __future__ import annotations

import gc
import os
from collections.abc import Generator, Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Final

import pytest
from hypothesis import settings

from tests.redis_server import RedisServer, need_redis
from tests.redis_topologies import OPENSSL, RedisClusterServers, RedisSentinelServers, TlsRedisServer, speaks_tls

if TYPE_CHECKING:
    from xdist.remote import Producer
    from xdist.scheduler.protocol import Scheduling

settings.register_profile("untimed", deadline=None)
settings.load_profile("untimed")  # Hypothesis fails what takes 0.2 s once, and a busy machine takes that for anything

_SCOPES = count(1)
_LONGEST: Final = tuple(
    Path(__file__).parent / place
    for place in ("docs/test_commands.py", "cluster", "chart", "server/app", "server/engine/embedded/test_quality.py")
)
"""Where single files take up to a minute, in the order in which they begin."""


@pytest.hookimpl(wrapper=True)
def pytest_collection() -> Generator[None, object, object]:
    """Ten thousand tests are no garbage: none is looked for while they are found, nor among them afterwards."""
    gc.disable()
    try:
        return (yield)
    finally:
        gc.freeze()
        gc.enable()


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest files begin first, or one of them would run alone in the end; else the order stays that of chance."""
    ranks = {path: _rank(path) for path in {item.path for item in items}}
    items.sort(key=lambda item: ranks[item.path])


def _rank(path: Path) -> int:
    return next((rank for rank, place in enumerate(_LONGEST) if path.is_relative_to(place)), len(_LONGEST))


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> Scheduling | None:
    """Few workers start two control planes instead of one each."""
    from tests.spreading import FEW_WORKERS, InHalves  # noqa: PLC0415  # where no tests are spread xdist may be missing

    few = config.getoption("dist") == "loadfile" and len(config.getoption("tx")) <= FEW_WORKERS
    return InHalves(config, log) if few else None


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One real Redis for the whole session, set up as the operator sets it up; tests keep apart by their scopes."""
    need_redis()
    server = RedisServer("--maxmemory", "1gb", "--maxmemory-policy", "volatile-lru")
    try:
        yield server
    finally:
        server.close()


@pytest.fixture(scope="session")
def redis_cluster() -> Iterator[RedisClusterServers]:
    """Three masters."""
    need_redis()
    servers = RedisClusterServers()
    try:
        yield servers
    finally:
        servers.close()


@pytest.fixture(scope="session")
def redis_sentinel() -> Iterator[RedisSentinelServers]:
    """Master, replica, Sentinel; a test that fails them over makes its own."""
    need_redis()
    servers = RedisSentinelServers()
    try:
        yield servers
    finally:
        servers.close()


@pytest.fixture(scope="session")
def redis_tls() -> Iterator[TlsRedisServer]:
    """TLS both ways and an ACL user."""
    need_redis()
    if OPENSSL is None:
        pytest.skip("the openssl command is not installed, so there are no certificates")
    if not speaks_tls():
        pytest.skip("this redis-server was built without TLS")
    server = TlsRedisServer()
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def own_redis() -> Iterator[RedisServer]:
    """A server that one test may stop, kill or fill."""
    need_redis()
    with closing(RedisServer()) as server:
        yield server


@pytest.fixture
def writing_redis() -> Iterator[RedisServer]:
    """The same with an append-only file, as a managed one."""
    need_redis()
    with closing(RedisServer("--appendonly", "yes", "--appendfsync", "everysec")) as server:
        yield server


@pytest.fixture
def scope() -> str:
    """A scope that no other test of this session uses."""
    return f"test-{os.getpid()}-{next(_SCOPES)}"
