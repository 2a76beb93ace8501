"""What happens from the start of an operator to its end?

Everyone watches, lists, scrapes and serves; only the holder of the lease gives services their turns.  SIGTERM lets running
turns end, gives the lease back and ends with 0; a lost lease ends with 1, at once.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
from contextlib import AsyncExitStack
from typing import Any, Final

from timbre_operator.app.admin import build_admin, serving
from timbre_operator.app.log import configure
from timbre_operator.app.parts import Parts, build_parts
from timbre_operator.cluster.connection import Connection, load_configuration, watch_session
from timbre_operator.errors import ClusterError
from timbre_operator.handlers.watches import Watches
from timbre_operator.kinds import WATCHED
from timbre_operator.metrics import Metrics
from timbre_operator.metricsapi import build_routes, front_proxy_of, serve_metrics_api
from timbre_operator.reconciler.backoff import Backoff
from timbre_operator.settings import OperatorSettings

EXIT_LEASE_LOST: Final = 1
EXIT_CANNOT_START: Final = 1
_TURN_SECONDS: Final = 10.0
"""How long running turns may take to end: a few requests.  What is left is done by the next leader, from what it finds."""
_SPREAD: Final = 0.5
"""The share of a resync's period over which services get their turns: a hundred at once would hold up news."""
_FIRST_LISTS: Final = Backoff(0.5, 10.0)

logger = logging.getLogger("timbre.operator")


def run(settings: OperatorSettings) -> int:
    """Runs an operator and returns its exit code."""
    configure(settings.log_level)
    try:
        return asyncio.run(_run(settings))
    except (ClusterError, OSError) as error:
        # No way to the API server, a port that is taken, a certificate that cannot be read.
        logger.error("the operator cannot start", extra={"fields": {"error": str(error)}})  # noqa: TRY400  # no traceback
        return EXIT_CANNOT_START


async def _run(settings: OperatorSettings) -> int:
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    metrics = Metrics()
    configuration = await load_configuration()
    async with (
        Connection(configuration, seen=metrics.request_done) as connection,
        Connection(configuration) as lease_connection,
    ):
        return await Operator(build_parts(settings, metrics, connection, lease_connection), stop).run()


class Operator:
    """One operator, running."""

    def __init__(self, parts: Parts, stop: asyncio.Event) -> None:
        self._parts = parts
        self._stop = stop
        self._leading = asyncio.Event()
        self._synced = asyncio.Event()
        self._watches = Watches(
            parts.heard, watch_session, namespaces=parts.settings.namespaces, broke=parts.resync.doubt
        )

    async def run(self) -> int:
        """Until it is stopped or loses the lease; the exit code."""
        parts, settings = self._parts, self._parts.settings
        health = parts.health(leading=self._leading, synced=self._synced)
        admin = build_admin(health, parts.metrics, build_routes(parts.load))
        async with AsyncExitStack() as stack:
            port = await stack.enter_async_context(serving(admin, settings.admin_host, settings.admin_port))
            await stack.enter_async_context(parts.scraper)
            fields: dict[str, object] = {"admin_port": port, "namespaces": settings.namespaces or "all"}
            if settings.metrics_api_certificate is not None:
                fields["metrics_api_port"] = await stack.enter_async_context(
                    serve_metrics_api(
                        parts.load,
                        settings.metrics_api_certificate,
                        lambda: front_proxy_of(parts.cluster),
                        settings.metrics_api_host,
                        settings.metrics_api_port,
                        answered=parts.metrics.metrics_api_answered,
                    )
                )
            logger.info("started", extra={"fields": fields})
            stack.push_async_callback(self._watches.stop)
            return await self._work()

    async def _work(self) -> int:
        stopping = asyncio.create_task(self._stop.wait())
        resyncing = asyncio.create_task(self._keep_listing())
        asking = asyncio.create_task(self._ask_pods())
        leading = asyncio.create_task(self._lead())
        await _first(stopping, resyncing, asking, leading)
        if leading.done() and not self._stop.is_set():
            await _cancelled(resyncing, asking, stopping)
            return leading.result()
        logger.info("stopping")
        await self._end_turns(leading)
        await _cancelled(resyncing, asking, leading, stopping)
        await self._parts.lease.release()
        return 0

    async def _keep_listing(self) -> None:
        failures = 0
        while True:
            try:
                visible = await self._parts.resync.once()
            except ClusterError as error:
                failures += 1
                wait = min(self._parts.settings.resync_seconds, _FIRST_LISTS.seconds(failures, 0.0))
                logger.warning(
                    "the cluster could not be listed", extra={"fields": {"error": str(error), "again_in": wait}}
                )
                await asyncio.sleep(wait)
                continue
            failures = 0
            self._parts.freshness.watch(visible)
            await self._watches.follow(watched for watched in WATCHED if watched.kind.kind in visible)
            self._synced.set()
            self._give_turns_to_all()
            await asyncio.sleep(self._parts.settings.resync_seconds)

    def _give_turns_to_all(self) -> None:
        if not self._leading.is_set():
            return
        services = sorted(self._parts.live.services())
        for place, key in enumerate(services):
            self._parts.queue.add(key, _SPREAD * self._parts.settings.resync_seconds * place / len(services))

    async def _ask_pods(self) -> None:
        await self._synced.wait()
        await self._parts.load.run()

    async def _lead(self) -> int:
        """Waits for the lease, works while it holds, and returns the exit code once it does not."""
        await self._synced.wait()
        await self._parts.lease.acquire()
        self._leading.set()
        self._parts.live.listen(self._parts.news)
        for key in self._parts.live.services():
            self._parts.queue.add(key)
        keeping = asyncio.create_task(self._parts.lease.keep())
        working = asyncio.create_task(self._parts.queue.run())
        looking = asyncio.create_task(self._parts.redis_looks.run())
        try:
            await _first(keeping, working, looking)
            # Turns that were let end while the lease is kept, or a lease that was lost in the middle of them.
            return 0 if working.done() else EXIT_LEASE_LOST
        finally:
            await _cancelled(working, looking, keeping)

    async def _end_turns(self, leading: asyncio.Task[int]) -> None:
        self._parts.queue.stop()
        if self._leading.is_set():
            await asyncio.wait({leading}, timeout=_TURN_SECONDS)


async def _first(*tasks: asyncio.Task[Any]) -> None:
    """Returns when one of them is done; raises what it raised."""
    done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    for task in done:
        task.result()


async def _cancelled(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    for task in tasks:
        with contextlib.suppress(asyncio.CancelledError):
            await task
