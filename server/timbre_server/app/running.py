"""The process: start, become ready, wait for a signal, drain, end."""

from __future__ import annotations

import asyncio
import gc
import signal
import sys
import time

import uvloop

from timbre_contract.exits import ENGINE_FAILED, EXIT_FAILED
from timbre_server.api.admin import AdminHooks, create_admin
from timbre_server.app.heap import bound_heap
from timbre_server.app.listeners import Listener
from timbre_server.app.wiring import Parts, wire
from timbre_server.errors import ConfigurationError, TimbreError
from timbre_server.service.lifecycle import Lifecycle
from timbre_server.settings import Settings
from timbre_server.telemetry import log
from timbre_server.telemetry.metrics import Metrics


def serve(settings: Settings) -> int:
    """Serves until SIGTERM or SIGINT and returns the exit code.

    Raises:
        ConfigurationError: the settings cannot work on this machine.
    """
    log.configure(settings.log.level)
    # Threads that compute hold the interpreter for 5 ms at a time by default (sys.getswitchinterval), which the
    # event loop would wait for at every turn; 0.5 ms keeps a request's overhead under the bound of `make bench`.
    sys.setswitchinterval(0.0005)
    bound_heap()
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        try:
            return runner.run(Process(settings).run())
        finally:
            # What stays frozen is not collected at the process' end, and Triton writes thirty lines of what it calls leaks.
            gc.unfreeze()


class Process:
    """One server process, from its start to its exit code."""

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._log = log.get_logger("app")
        self._started = time.monotonic()

    async def run(self) -> int:
        settings = self._settings
        self._lifecycle = Lifecycle()
        self._drained = asyncio.Event()
        self._terminate = asyncio.Event()
        self._draining: asyncio.Task[None] | None = None
        metrics = Metrics()
        self._parts = wire(settings, self._lifecycle, metrics)
        admin = create_admin(
            self._lifecycle,
            AdminHooks(
                health=self._parts.health,
                exposition=metrics.exposition,
                drain=self._begin_drain,
                cache=self._parts.cache_report,
                token=_admin_token(settings),
            ),
        )
        listeners = [
            Listener(self._parts.api, settings.http.host, settings.http.port),
            Listener(admin, settings.http.host, settings.http.admin_port),
        ]
        self._handle_signals()
        for listener in listeners:
            listener.start()
        try:
            return await self._serve(listeners)
        finally:
            for listener in listeners:
                await listener.stop(grace_seconds=1)
            await self._parts.stop()
            self._lifecycle.stop()

    async def _serve(self, listeners: list[Listener]) -> int:
        starting = asyncio.create_task(self._start(self._parts, listeners))
        terminating = asyncio.create_task(self._terminate.wait())
        await asyncio.wait({starting, terminating}, return_when=asyncio.FIRST_COMPLETED)
        if not starting.done():
            starting.cancel()
        elif (failure := starting.exception()) is not None:
            terminating.cancel()
            return self._failed(failure)
        await terminating
        self._begin_drain()
        await self._drained.wait()
        return 0 if self._lifecycle.in_flight == 0 else EXIT_FAILED

    async def _start(self, parts: Parts, listeners: list[Listener]) -> None:
        await parts.start()
        self._lifecycle.warm("loading the voices that are asked for most")
        await parts.warm(self._lifecycle.warming)
        # What was made until now lives as long as the process. A full collection that looks at all of it stops the
        # loop for 46 ms (measured with the embedded engine), one that does not for 4 us.
        gc.collect()
        gc.freeze()
        self._lifecycle.become_ready()
        seconds = time.monotonic() - self._started
        fields = {"api_port": listeners[0].port, "admin_port": listeners[1].port, "seconds": round(seconds, 3)}
        self._log.info("ready", extra={"fields": {**fields, "engine": parts.engine_name}})

    def _failed(self, failure: BaseException) -> int:
        if isinstance(failure, BaseExceptionGroup):  # several parts start at once; the first reason is enough
            failure = failure.exceptions[0]
        if isinstance(failure, ConfigurationError) or not isinstance(failure, TimbreError):
            raise failure
        self._log.error("%s: %s", ENGINE_FAILED, failure.message)
        return EXIT_FAILED

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        loop.add_signal_handler(signal.SIGTERM, self._terminate.set)
        loop.add_signal_handler(signal.SIGINT, self._interrupt)

    def _interrupt(self) -> None:
        """Ctrl-C: nobody routes requests here, so refuse at once; a second one does not wait for those in flight."""
        self._lifecycle.refuse()
        if self._terminate.is_set():
            self._drained.set()
        self._terminate.set()

    def _begin_drain(self) -> None:
        if self._draining is None:
            self._lifecycle.drain()
            self._draining = asyncio.create_task(self._drain(), name="drain")

    async def _drain(self) -> None:
        settings = self._settings.drain
        self._log.info("draining", extra={"fields": {"in_flight": self._lifecycle.in_flight}})
        if not self._lifecycle.refusing:
            await asyncio.sleep(settings.accept_seconds)
        self._lifecycle.refuse()
        try:
            async with asyncio.timeout(settings.timeout_seconds):
                await self._lifecycle.idle()
            self._log.info("drained")
        except TimeoutError:
            self._log.error("cut off unfinished requests", extra={"fields": {"in_flight": self._lifecycle.in_flight}})
        self._drained.set()


def _admin_token(settings: Settings) -> str | None:
    path = settings.http.admin_token_file
    if path is None:
        return None
    try:
        token = path.read_text("utf-8").strip()
    except OSError as error:
        raise ConfigurationError(f"TIMBRE_HTTP__ADMIN_TOKEN_FILE cannot be read: {error.strerror}") from error
    if not token:
        raise ConfigurationError("TIMBRE_HTTP__ADMIN_TOKEN_FILE names an empty file")
    return token
