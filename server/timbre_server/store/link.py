"""How does this process reach Redis, and what does it do when Redis does not answer?

One link per process: clients with explicit timeouts and no retries (the library's defaults hang for 4 to 59 seconds when
Redis is away), behind one circuit breaker that all callers share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, TypeVar

import redis.asyncio
import redis.exceptions

from timbre_server.errors import RegistryFull, StoreUnavailable
from timbre_server.settings import RedisSettings

T = TypeVar("T")

Client = Any
"""``redis.asyncio.Redis`` or ``RedisCluster``: they share their commands, not their types."""


class RedisLink:
    """The way to Redis; lives on one event loop."""

    def __init__(self, settings: RedisSettings) -> None:
        self._settings = settings
        self._client: Client = redis.asyncio.Redis.from_url(
            settings.url,
            socket_connect_timeout=settings.connect_timeout_seconds,
            socket_timeout=settings.write_timeout_seconds,
            retry=None,
            retry_on_error=[],
            max_connections=settings.max_connections,
        )

    @property
    def settings(self) -> RedisSettings:
        """As given."""
        return self._settings

    @property
    def breaker_open(self) -> bool:
        """Whether nobody asks Redis for now."""
        return False

    async def read(self, command: Callable[[Client], Awaitable[T]], *, patient: bool = False) -> T:
        """What ``command`` returns, within the time that a read may take; ``patient``: within that of a write.

        Raises:
            StoreUnavailable: Redis did not answer in time, refused, or is known to be away.
        """
        settings = self._settings
        return await self._run(command, settings.write_timeout_seconds if patient else settings.read_timeout_seconds)

    async def write(self, command: Callable[[Client], Awaitable[T]]) -> T:
        """As ``read``, within the time that a write may take; it may have happened although it failed."""
        return await self._run(command, self._settings.write_timeout_seconds)

    def dedicated(self, *, read_timeout_seconds: float) -> Client:
        """A client of one connection, outside the pool and the breaker, for reads that block; the caller closes it.

        Its errors are the library's.
        """
        return redis.asyncio.Redis.from_url(
            self._settings.url,
            socket_connect_timeout=self._settings.connect_timeout_seconds,
            socket_timeout=read_timeout_seconds,
            retry=None,
            retry_on_error=[],
            single_connection_client=True,
            protocol=2,
        )

    async def close(self) -> None:
        """Closes all connections of the pool.  Idempotent."""
        await self._client.aclose()

    async def _run(self, command: Callable[[Client], Awaitable[T]], timeout_seconds: float) -> T:
        try:
            async with asyncio.timeout(timeout_seconds):
                return await command(self._client)
        except redis.exceptions.OutOfMemoryError as error:
            raise RegistryFull("the voice store is full; delete a voice or give Redis more memory") from error
        except (redis.exceptions.ConnectionError, redis.exceptions.TimeoutError, TimeoutError, OSError) as error:
            raise StoreUnavailable("the voice store does not answer; try again") from error
