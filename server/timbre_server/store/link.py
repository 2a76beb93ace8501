"""How does this process reach Redis, and what does it do when Redis does not answer?

One link per process: clients with explicit timeouts and no retries, behind one circuit breaker that all callers share.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import AbstractContextManager, suppress
from contextvars import Context
from typing import Final, TypeVar

import redis.exceptions
from redis.asyncio.cluster import RedisCluster

from timbre_server.ending import end
from timbre_server.errors import ConfigurationError, StoreUnavailable
from timbre_server.settings import RedisSettings
from timbre_server.store.breaker import Breaker
from timbre_server.store.budget import Budget, current_budget, request_budget
from timbre_server.store.clients import Client, Clients
from timbre_server.store.patience import Patience
from timbre_server.store.refusals import LIBRARY_ERRORS, NO_ANSWER, cannot_write, is_no_answer, refusal, words_of
from timbre_server.telemetry.log import get_logger

__all__ = ["Client", "RedisLink"]

T = TypeVar("T")

_LOG = get_logger("store.link")

_PROBE_PATIENCE_SECONDS: Final = 0.5
"""How long a probe may take to find its way (a Sentinel, a cluster's slots, TLS): recovery is promised within 1 s."""

_WAITAOF_SINCE: Final = (7, 2)
"""Redis' documentation of the command; Valkey began at 7.2 and says so in the same field."""

_AWAY: Final = "the voice store is away; try again"
_SPENT: Final = "the voice store took longer than a request may wait; try again"
_UNSURE: Final = "the voice store did not answer; the change may have been made or not, so look before you try again"


class RedisLink:
    """The way to Redis; lives on one event loop."""

    def __init__(self, settings: RedisSettings) -> None:
        """Raises: ConfigurationError: the address or a file of the settings cannot be used."""
        self._settings = settings
        self._clients = Clients(settings)
        # One connection more than callers may use at once, for the probe.
        self._client: Client = self._clients.pooled(max_connections=settings.max_connections + 1)
        self._places = asyncio.Semaphore(settings.max_connections)
        self._breaker = Breaker(settings.breaker_failures)
        self._probing: asyncio.Task[None] | None = None

    @property
    def settings(self) -> RedisSettings:
        """As given."""
        return self._settings

    @property
    def breaker_open(self) -> bool:
        """Whether nobody asks Redis for now."""
        return self._breaker.is_open

    async def start(self) -> bool:
        """Connects and says whether Redis answered; without it a server starts all the same.

        Raises:
            ConfigurationError: this Redis cannot do what the settings ask of it.
        """
        try:
            async with asyncio.timeout(self._settings.write_timeout_seconds):
                if isinstance(self._client, RedisCluster):
                    await self._client.initialize()
                await self._ping()
                if self._settings.wait_aof:
                    await self._check_disk()
        except LIBRARY_ERRORS as error:
            _LOG.warning("redis is away at the start (%s)", words_of(error))
            return False
        return True

    async def read(self, command: Callable[[Client], Awaitable[T]], *, patient: bool = False) -> T:
        """What ``command`` returns, within the time that a read may take and what is left of the request's budget.

        ``patient``: within the time of a write, for what no request in a hurry waits for.

        Raises:
            StoreUnavailable: Redis did not answer in time, refused, or is known to be away.
        """
        settings = self._settings
        if patient:
            return await self._run(command, settings.write_timeout_seconds, None, NO_ANSWER)
        return await self._run(command, settings.read_timeout_seconds, current_budget(), NO_ANSWER)

    async def read_aside(self, command: Callable[[], Awaitable[T]]) -> T:
        """As ``read``, for what has a connection of its own and bounds its time itself.

        Raises:
            StoreUnavailable: as ``read``.
        """
        if self._breaker.is_open:
            raise StoreUnavailable(_AWAY)
        loop = asyncio.get_running_loop()
        asked_at = loop.time()
        try:
            answer = await command()
        except LIBRARY_ERRORS as error:
            raise await self._refused(error, 0.0, NO_ANSWER) from error
        if loop.time() - asked_at <= self._settings.read_timeout_seconds:
            self._breaker.succeeded()
        return answer

    async def write(self, command: Callable[[Client], Awaitable[T]]) -> T:
        """As ``read``, within the time that a write may take; it may have happened although it failed.

        Raises:
            StoreUnavailable: as ``read``.
            RegistryFull: Redis has no memory for it.
        """
        settings = self._settings
        waits = settings.wait_timeout_seconds * (bool(settings.wait_replicas) + settings.wait_aof)
        return await self._run(command, settings.write_timeout_seconds + waits, None, _UNSURE)

    def request_budget(self) -> AbstractContextManager[Budget]:
        """To be entered once per request: the reads inside share ``request_budget_seconds``."""
        return request_budget(self._settings.request_budget_seconds)

    def dedicated(self, *, read_timeout_seconds: float, key: str = "") -> Client:
        """A client of one connection, outside the pool and the breaker, for reads that block; the caller closes it.

        In a cluster it leads to the master that has ``key``, which each new connection looks for.  Its errors are the
        library's.
        """
        return self._clients.dedicated(read_timeout_seconds=read_timeout_seconds, route=lambda: self._route(key))

    async def close(self) -> None:
        """Closes all connections of the pool.  Idempotent."""
        if self._probing is not None:
            await end([self._probing])
        await self._client.aclose()
        await self._clients.close()

    async def _run(
        self, command: Callable[[Client], Awaitable[T]], timeout_seconds: float, budget: Budget | None, in_vain: str
    ) -> T:
        if self._breaker.is_open:
            raise StoreUnavailable(_AWAY)
        if budget is not None:
            timeout_seconds = min(timeout_seconds, budget.left_seconds)
            if timeout_seconds <= 0:
                raise StoreUnavailable(_SPENT)
        patience = Patience(timeout_seconds)
        asked: float | None = None
        try:
            async with patience, self._places:
                if self._breaker.is_open:  # it opened while this caller waited for a connection
                    raise StoreUnavailable(_AWAY)
                asked = patience.waited_seconds
                answer = await command(self._client)
        except LIBRARY_ERRORS as error:
            if budget is not None:
                budget.spend_all()
            raise await self._refused(error, asked, in_vain) from error
        if budget is not None:
            budget.spend(patience.waited_seconds)
        if patience.waited_seconds - asked <= self._settings.read_timeout_seconds:
            self._breaker.succeeded()
        return answer

    async def _refused(self, error: Exception, asked: float | None, in_vain: str) -> Exception:
        """Our error for one of the library's, and what it says of Redis."""
        if asked is None:  # it waited for a free connection, which says nothing of Redis
            return StoreUnavailable(_SPENT)
        if not is_no_answer(error):
            if isinstance(error, redis.exceptions.ReadOnlyError):
                await self._drop_idle()  # the name that we connect to may lead to another server by now
            return refusal(error)
        if self._breaker.failed():
            _LOG.warning("redis does not answer; nobody asks it until a probe succeeds (%s)", words_of(error))
            # In a context of its own: it works for no request.
            self._probing = asyncio.create_task(self._probe(), name="redis-probe", context=Context())
            self._probing.add_done_callback(self._probed)
        refused = refusal(error)
        return StoreUnavailable(in_vain) if refused.message == NO_ANSWER else refused

    async def _probe(self) -> None:
        """Asks again and again, and closes the breaker once Redis answers as promptly as a read needs it."""
        await self._drop_idle()
        while True:
            try:
                async with asyncio.timeout(_PROBE_PATIENCE_SECONDS):
                    await self._find_way()
                    await self._ping()
                async with asyncio.timeout(self._settings.read_timeout_seconds):
                    await self._ping()
            except LIBRARY_ERRORS:
                await asyncio.sleep(self._settings.breaker_probe_seconds)
            else:
                self._breaker.probed()
                _LOG.warning("redis answers again")
                return

    def _probed(self, probing: asyncio.Task[None]) -> None:
        """Nothing but a probe closes the breaker, so one that fails in a way that nobody foresaw must not leave it open."""
        if not probing.cancelled() and (error := probing.exception()) is not None:
            _LOG.error("the probe of redis has failed, so callers ask again", exc_info=error)
            self._breaker.probed()

    async def _ping(self) -> None:
        """Raises one of ``LIBRARY_ERRORS`` where Redis does not answer; one that only cannot write does."""
        try:
            if isinstance(self._client, RedisCluster):
                await self._client.ping(target_nodes=RedisCluster.PRIMARIES)
            else:
                await self._client.ping()
        except redis.exceptions.ResponseError as error:
            if not cannot_write(error):
                raise

    async def _find_way(self) -> None:
        """Reads anew which node of a cluster has which keys: the library does so only after errors that it sees."""
        if isinstance(self._client, RedisCluster):
            await self._client.initialize()
            await self._client.nodes_manager.initialize()

    async def _route(self, key: str) -> tuple[str, int]:
        async with asyncio.timeout(_PROBE_PATIENCE_SECONDS):
            await self._find_way()
        node = self._client.get_node_from_key(key)
        return node.host, node.port

    async def _drop_idle(self) -> None:
        """Closes connections that nobody uses: after a fault each of them may lead nowhere, and would cost a wait."""
        with suppress(*LIBRARY_ERRORS):
            if isinstance(self._client, RedisCluster):
                for node in self._client.get_nodes():
                    await node.disconnect_free_connections()
            else:
                await self._client.connection_pool.disconnect(inuse_connections=False)

    async def _check_disk(self) -> None:
        target = {"target_nodes": RedisCluster.DEFAULT_NODE} if isinstance(self._client, RedisCluster) else {}
        version = str((await self._client.info("server", **target))["redis_version"])
        if tuple(int(part) for part in version.split(".")[:2]) < _WAITAOF_SINCE:
            raise ConfigurationError(
                f"TIMBRE_REDIS__WAIT_AOF needs Redis 7.2 or newer (WAITAOF), this is {version}: upgrade it, or unset"
                " WAIT_AOF and run Redis with `appendfsync always`"
            )
        if not (await self._client.info("persistence", **target))["aof_enabled"]:
            raise ConfigurationError("TIMBRE_REDIS__WAIT_AOF needs a Redis with `appendonly yes`")
