"""A real ``redis-server`` for tests."""

import os

import pytest

from examples.local_redis import BINARY, REDIS_IS_HERE, RedisServer, free_port

__all__ = ["BINARY", "RedisServer", "free_port", "need_redis"]


def need_redis() -> None:
    """Skips where there is none; in CI the test goes on, and fails."""
    if not REDIS_IS_HERE and not os.environ.get("CI"):
        pytest.skip("redis-server is not installed; make redis installs it")
