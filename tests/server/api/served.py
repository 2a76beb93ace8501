"""A whole server on a free port, its engine a stub and everything else real, in a thread of its own."""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field

import httpx2
import uvicorn
from openai import OpenAI

from tests.server.service.parts import Parts, built_parts
from timbre_server.api.application import ApiOptions, Services, create_api
from timbre_server.engine.stub import StubEngine
from timbre_server.resultcache.link_sealing import LinkKeys
from timbre_server.service.catalogue import ModelCatalogue
from timbre_server.service.lifecycle import Lifecycle
from timbre_server.service.links import SpeechLinks
from timbre_server.telemetry.metrics import Metrics

MAX_UPLOAD_BYTES = 1 << 20
"""Small, so that bodies that are too large are cheap to send."""

LINK_SECONDS = 600

TIMEOUT_SECONDS = 20.0
"""A hang fails a test after this time."""


class Gate:
    """The engine's ``sleep``: a batch goes on only when the test lets it."""

    def __init__(self) -> None:
        self._arrivals = threading.Semaphore(0)
        self._turns = threading.Semaphore(0)

    def sleep(self, _: float) -> None:
        self._arrivals.release()
        assert self._turns.acquire(timeout=TIMEOUT_SECONDS), "no test let this batch go on"

    def wait_for_batch(self) -> None:
        """Returns when a batch (one more than before) is at the engine."""
        assert self._arrivals.acquire(timeout=TIMEOUT_SECONDS), "no batch came"

    def let(self, batches: int = 1) -> None:
        """Lets so many batches go on."""
        self._turns.release(batches)


class NotingMetrics(Metrics):
    """Metrics that also tell a test what has finished."""

    def __init__(self) -> None:
        super().__init__()
        self.finished: queue.SimpleQueue[tuple[str, int]] = queue.SimpleQueue()
        self.on_finished: Callable[[str, int], None] = lambda _route, _status: None

    def request_finished(self, route: str, status: int, seconds: float) -> None:
        super().request_finished(route, status, seconds)
        self.finished.put((route, status))
        self.on_finished(route, status)

    def next_finished(self) -> tuple[str, int]:
        """Route and status of the next request that ends."""
        return self.finished.get(timeout=TIMEOUT_SECONDS)


@dataclass
class Served:
    """A running server."""

    engine: StubEngine = field(default_factory=lambda: StubEngine(fixed_seconds=0.002, per_job_seconds=0.001))
    require_consent: bool = False
    max_pending_seconds: float = 60.0
    keeps_results: bool = False
    """Off where a test wants each of its requests to be served by the engine."""
    similar_text: bool = False
    link_keys: LinkKeys | None = None
    """With some, answers carry links."""
    lifecycle: Lifecycle = field(default_factory=Lifecycle)
    metrics: NotingMetrics = field(default_factory=NotingMetrics)
    port: int = 0
    parts: Parts = field(init=False)
    loop: asyncio.AbstractEventLoop = field(init=False)

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.port}"

    def client(self, max_retries: int = 0) -> OpenAI:
        """OpenAI's client, pointed here; close it."""
        return OpenAI(base_url=f"{self.url}/v1", api_key="unused", max_retries=max_retries)

    def metric(self, name: str, **labels: str) -> float:
        """The value of a metric; 0 while it has none."""
        return self.metrics.registry.get_sample_value(name, labels) or 0.0

    def http(self) -> httpx2.Client:
        """A plain HTTP client, pointed here; close it."""
        return httpx2.Client(base_url=self.url, timeout=TIMEOUT_SECONDS)

    def pending_requests(self) -> int:
        """How many requests wait for the engine or are at it."""

        async def read() -> int:
            return self.parts.dispatcher.pending_requests

        return asyncio.run_coroutine_threadsafe(read(), self.loop).result(TIMEOUT_SECONDS)

    async def serve(self, started: threading.Event) -> None:
        self.loop = asyncio.get_running_loop()
        async with built_parts(
            self.engine,
            require_consent=self.require_consent,
            max_pending_seconds=self.max_pending_seconds,
            keeps_results=self.keeps_results,
            similar_text=self.similar_text,
        ) as self.parts:
            with ThreadPoolExecutor(2) as encoders:
                links = (
                    SpeechLinks(self.link_keys, LINK_SECONDS, lambda: self.parts.clock[0]) if self.link_keys else None
                )
                services = Services(
                    self.parts.cached,
                    self.parts.voices,
                    self.parts.consents,
                    ModelCatalogue(self.engine.descriptor),
                    links,
                )
                api = create_api(
                    services,
                    lifecycle=self.lifecycle,
                    metrics=self.metrics,
                    encoders=encoders,
                    options=ApiOptions(MAX_UPLOAD_BYTES),
                )
                self.server = _Server(
                    uvicorn.Config(api, port=0, http="httptools", ws="none", lifespan="off", log_config=None), started
                )
                self.lifecycle.warm("test")
                self.lifecycle.become_ready()
                await self.server.serve()


class _Server(uvicorn.Server):
    def __init__(self, config: uvicorn.Config, started: threading.Event) -> None:
        super().__init__(config)
        self._started = started

    async def startup(self, sockets: object = None) -> None:
        await super().startup()
        self._started.set()


@contextmanager
def running(served: Served) -> Iterator[Served]:
    """Serves until the block ends."""
    started = threading.Event()
    failures: list[BaseException] = []

    def serve() -> None:
        try:
            asyncio.run(served.serve(started))
        except BaseException as error:  # noqa: BLE001 -- told in the test's thread below
            failures.append(error)
            started.set()

    thread = threading.Thread(target=serve)
    thread.start()
    started.wait(TIMEOUT_SECONDS)
    if failures:
        raise failures[0]
    served.port = served.server.servers[0].sockets[0].getsockname()[1]
    try:
        yield served
    finally:
        served.server.should_exit = True
        thread.join()
        assert not failures, failures
