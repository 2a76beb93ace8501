"""The metrics API as the API server meets it: over TLS, with the front proxy's certificate or with another one."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import aiohttp

from tests.cluster.certificates import Authority, Pair
from timbre_contract import labels
from timbre_operator.metricsapi import FrontProxy, serve_metrics_api
from timbre_operator.ports import ServiceKey

KEY = ServiceKey("studio", "narrator")
HOST = "127.0.0.1"


class Series:
    """A ``SeriesSource`` of what a test says."""

    def __init__(self) -> None:
        self.of: dict[ServiceKey, Mapping[str, float] | None] = {KEY: some_series()}

    def services(self) -> Sequence[ServiceKey]:
        return sorted(self.of)

    def series(self, key: ServiceKey) -> Mapping[str, float] | None:
        return self.of.get(key)


def some_series(queue: float = 12.0, work: float = 1.5) -> dict[str, float]:
    return {labels.QUEUE_DEPTH_SERIES: queue, labels.WORK_SECONDS_SERIES: work, labels.WORKING_SET_SERIES: 0.0}


@dataclass
class World:
    """Two authorities, as a cluster has them, and the folder of the operator's certificate."""

    folder: Path
    clusters: Authority = field(default_factory=lambda: Authority("cluster"))
    front: Authority = field(default_factory=lambda: Authority("front-proxy-ca"))
    series: Series = field(default_factory=Series)
    names: frozenset[str] = frozenset({"front-proxy"})
    published: bool = True
    """Whether it can be read who speaks for the API server."""
    answers: list[int] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.renew()

    def renew(self) -> Pair:
        """A new certificate for the operator; it replaces the old one's files."""
        pair = self.clusters.server(HOST)
        for name, content in (("tls.crt", pair.certificate), ("tls.key", pair.key)):
            file = self.folder / f".{name}"
            file.write_bytes(content)
            file.rename(self.folder / name)
        return pair

    async def request_header(self) -> FrontProxy | None:
        return FrontProxy(self.front.pair.certificate.decode(), self.names) if self.published else None

    @asynccontextmanager
    async def serving(self, look_seconds: float = 3600.0) -> AsyncIterator[str]:
        """Yields its URL; nothing is looked at again unless the time is short."""
        async with serve_metrics_api(
            self.series,
            self.folder,
            self.request_header,
            HOST,
            0,
            answered=self.answers.append,
            look_seconds=look_seconds,
        ) as port:
            yield f"https://{HOST}:{port}"

    def tls(self, client: Pair | None, *, server: bytes | None = None) -> ssl.SSLContext:
        """As a client has it that shows this certificate."""
        context = ssl.create_default_context(cadata=(server or self.clusters.pair.certificate).decode())
        if client is not None:
            client.write(self.folder, "client")
            context.load_cert_chain(self.folder / "client.crt", self.folder / "client.key")
        return context

    @asynccontextmanager
    async def client(self, url: str, shown: Pair | None = None, *, anonymous: bool = False) -> AsyncIterator[Client]:
        """The front proxy, unless told otherwise."""
        pair = None if anonymous else shown or self.front.client("front-proxy")
        connector = aiohttp.TCPConnector(ssl=self.tls(pair))
        async with aiohttp.ClientSession(url, connector=connector) as session:
            yield Client(session)


class Client:
    """Asks, and returns status and document."""

    def __init__(self, session: aiohttp.ClientSession) -> None:
        self.session = session

    async def get(self, path: str, *, method: str = "GET", **headers: str) -> tuple[int, Any]:
        async with self.session.request(method, path, headers=headers) as response:
            document = await response.json() if response.content_type == "application/json" else await response.text()
            return response.status, document
