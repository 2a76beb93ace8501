"""A real ``redis-server`` for tests."""

from examples.local_redis import BINARY, REDIS_IS_HERE, RedisServer, free_port

__all__ = ["BINARY", "REDIS_IS_HERE", "RedisServer", "free_port"]
