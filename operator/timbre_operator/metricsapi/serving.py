"""How is the API served while its certificate and the API server's trust change?

Connections are accepted here and handed to aiohttp, each under the TLS context of that moment.  So a change needs no new
listener: no connection is refused or lost, and those that are there go on as they began.
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
HANDSHAKE_SECONDS: Final = 10.0
"""As long as the API server itself waits for the handshake of a connection (Go's ``http.DefaultTransport``)."""
_BACKLOG: Final = 128
_EXHAUSTED_SECONDS: Final = 1.0
"""Until connections are accepted again where the process has as many files open as it may."""
_NO_STAT: Final = (0, 0, 0)

RequestHeader = Callable[[], Awaitable[FrontProxy | None]]
"""Reads who speaks for the API server.  Raises: ClusterError."""

logger = logging.getLogger("timbre.metricsapi")


class TlsListener:
    """One socket, and the application behind it under the newest certificate and trust."""

    def __init__(
        self,
        server: web.Server,
        listening: socket.socket,
        certificate_dir: Path,
        request_header: RequestHeader,
        door: Door,
    ) -> None:
        self._server = server
        self._listening = listening
        self._certificate = certificate_dir / "tls.crt"
        self._key = certificate_dir / "tls.key"
        self._request_header = request_header
        self._door = door
        self._context: ssl.SSLContext | None = None
        self._made_of: object = None
        self._greetings: set[asyncio.Task[None]] = set()

    async def look(self) -> None:
        """Takes a new certificate or a new trust into service, if there is one.

        What cannot be used changes nothing: the old certificate serves on, and the old trust.
        """
        front_proxy = await self._trust()
        wanted = (_stamp(self._certificate), _stamp(self._key), front_proxy)
        if wanted == self._made_of:
            return
        try:
            self._context = _context(self._certificate, self._key, front_proxy)
        except (OSError, ssl.SSLError) as error:  # half of a new pair may be there
            if self._context is None:
                raise
            logger.warning("the certificate of the metrics API cannot be used", extra={"fields": {"error": str(error)}})
            return
        self._door.front_proxy = front_proxy
        self._made_of = wanted

    async def keep_looking(self, seconds: float) -> None:
        """Until it is cancelled."""
        while True:
            await asyncio.sleep(seconds)
            await self.look()

    async def accept(self) -> None:
        """Takes connections in until it is cancelled, and drops those that are being greeted then."""
        loop = asyncio.get_running_loop()
        try:
            while True:
                try:
                    connection, _ = await loop.sock_accept(self._listening)
                except ConnectionAbortedError:
                    continue  # its client has left already
                except OSError as error:
                    logger.warning("no connection can be accepted", extra={"fields": {"error": str(error)}})
                    await asyncio.sleep(_EXHAUSTED_SECONDS)
                    continue
                greeting = asyncio.create_task(self._greet(connection), name="metrics-api-greeting")
                self._greetings.add(greeting)
                greeting.add_done_callback(self._greetings.discard)
        finally:
            for greeting in self._greetings:
                greeting.cancel()

    async def _greet(self, connection: socket.socket) -> None:
        """The handshake; who fails it is nobody's concern but its own."""
        try:
            await asyncio.get_running_loop().connect_accepted_socket(
                self._server, connection, ssl=self._context, ssl_handshake_timeout=HANDSHAKE_SECONDS
            )
        except OSError:  # ssl.SSLError is one
            connection.close()

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
    assert runner.server is not None
    try:
        with contextlib.closing(_bound(host, port)) as listening:
            listener = TlsListener(runner.server, listening, certificate_dir, request_header, door)
            await listener.look()
            async with asyncio.TaskGroup() as group:  # if one of them fails, so does whoever serves
                tasks = group.create_task(listener.accept()), group.create_task(listener.keep_looking(look_seconds))
                try:
                    yield int(listening.getsockname()[1])
                finally:
                    for task in tasks:
                        task.cancel()
    finally:
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
