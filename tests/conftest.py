"""What every folder of tests may use."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import count

import pytest

from tests.redis_server import REDIS_IS_HERE, RedisServer

_SCOPES = count(1)


@pytest.fixture(scope="session")
def redis_server() -> Iterator[RedisServer]:
    """One real Redis for the whole session, set up as the operator sets it up; tests keep apart by their scopes."""
    if not REDIS_IS_HERE and not os.environ.get("CI"):
        pytest.skip("redis-server is not installed; make setup says how")
    server = RedisServer("--maxmemory", "1gb", "--maxmemory-policy", "volatile-lru")
    try:
        yield server
    finally:
        server.close()


@pytest.fixture
def scope() -> str:
    """A scope that no other test of this session uses."""
    return f"test-{os.getpid()}-{next(_SCOPES)}"
