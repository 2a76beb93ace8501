"""How is the API served while its certificate and the API server's trust change?

With each change a new TLS context takes over the listening socket; connections that are there keep the one that they began
with, and none is lost, because the socket itself stays open.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from aiohttp import web

from timbre_operator.errors import ClusterError
from timbre_operator.metricsapi.application import Door, build_application
from timbre_operator.metricsapi.front_proxy import FrontProxy
from timbre_operator.ports import SeriesSource

LOOK_SECONDS: Final = 10.0
"""How often certificate and trust are looked at: a renewed certificate comes days before the old one ends, and a cluster whose
trust was published late gets its series soon."""
_BACKLOG: Final = 128
_NO_STAT: Final = (0, 0, 0)

RequestHeader = Callable[[], Awaitable[FrontProxy | None]]
"""Reads who speaks for the API server.  Raises: ClusterError."""

logger = logging.getLogger("timbre.metricsapi")


class TlsListener:
    """One socket, served by an application under the newest certificate and trust."""

    def __init__(
        self,
        runner: web.AppRunner,
        listening: socket.socket,
        certificate_dir: Path,
        request_header: RequestHeader,
        door: Door,
    ) -> None:
        self._runner = runner
        self._listening = listening
        self._certificate = certificate_dir / "tls.crt"
        self._key = certificate_dir / "tls.key"
        self._request_header = request_header
        self._door = door
        self._site: web.SockSite | None = None
        self._served: object = None
        """What the site that listens now was made of."""

    async def look(self) -> None:
        """Takes a new certificate or a new trust into service, if there is one.

        What cannot be used changes nothing: the old certificate serves on, and the old trust.
        """
        front_proxy = await self._trust()
        wanted = (_stamp(self._certificate), _stamp(self._key), front_proxy)
        if wanted == self._served:
            return
        try:
            context = _context(self._certificate, self._key, front_proxy)
        except (OSError, ssl.SSLError) as error:  # half of a new pair may be there
            logger.warning("the certificate of the metrics API cannot be used", extra={"fields": {"error": str(error)}})
            if self._site is None:
                raise
            return
        before = self._site
        self._site = web.SockSite(self._runner, self._listening.dup(), ssl_context=context, backlog=_BACKLOG)
        await self._site.start()
        if before is not None:
            await before.stop()
        self._door.front_proxy = front_proxy
        self._served = wanted

    async def keep_looking(self, seconds: float) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(seconds)
            await self.look()

    async def _trust(self) -> FrontProxy | None:
        try:
            return await self._request_header()
        except ClusterError as error:
            fields = {"error": str(error)}
            logger.warning("it cannot be read who speaks for the API server", extra={"fields": fields})
            return self._door.front_proxy


@asynccontextmanager
async def serve_metrics_api(
    source: SeriesSource,
    certificate_dir: Path,
    request_header: RequestHeader,
    host: str,
    port: int,
    *,
    answered: Callable[[int], None] | None = None,
    look_seconds: float = LOOK_SECONDS,
) -> AsyncIterator[int]:
    """Serves while the context lasts; yields the port, a free one where 0 was asked for.

    Raises:
        OSError, ssl.SSLError: the address or the certificate cannot be used.
    """
    door = Door()
    application = build_application(source, door, answered=answered)
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    with contextlib.closing(_bound(host, port)) as listening:
        listener = TlsListener(runner, listening, certificate_dir, request_header, door)
        looking: asyncio.Task[None] | None = None
        try:
            await listener.look()
            looking = asyncio.create_task(listener.keep_looking(look_seconds), name="metrics-api-certificate")
            yield int(listening.getsockname()[1])
        finally:
            if looking is not None:
                looking.cancel()
                await asyncio.wait({looking})
            await runner.cleanup()


def _bound(host: str, port: int) -> socket.socket:
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    listening = socket.create_server((host, port), family=family, backlog=_BACKLOG)
    listening.setblocking(False)  # noqa: FBT003 - the standard library's signature
    return listening


def _stamp(file: Path) -> tuple[int, int, int]:
    """Changes whenever the file does; Kubernetes exchanges a mounted Secret by a symbolic link to another folder."""
    try:
        found = file.stat()
    except OSError:
        return _NO_STAT
    return found.st_ino, found.st_mtime_ns, found.st_size


def _context(certificate: Path, key: Path, front_proxy: FrontProxy | None) -> ssl.SSLContext:
    """Raises: OSError, ssl.SSLError: one of them cannot be used."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.minimum_version = ssl.TLSVersion.TLSv1_2
    context.load_cert_chain(certificate, key)
    if front_proxy is not None:
        context.load_verify_locations(cadata=front_proxy.authority_pem)
        context.verify_mode = ssl.CERT_OPTIONAL  # probes have none; the application refuses everybody else
    return context
