"""The two listeners: uvicorn on a socket that was bound beforehand, without signal handlers of its own."""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
from collections.abc import Generator
from typing import Final

import uvicorn
from starlette.types import ASGIApp
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from timbre_server.api.errors import error_object
from timbre_server.errors import ConfigurationError, RequestRejected

# Longer than the 60 s for which nginx and most cloud load balancers keep an idle upstream connection, so that
# it is never us who close one just as they reuse it.
KEEP_ALIVE_SECONDS: Final = 75
BACKLOG: Final = 2048

FIRST_REQUEST_SECONDS: Final = 0.5
"""How long a connection that has asked nothing yet may still do so when its listener ends.  Its client has sent a request, or
is about to, and takes an answer for certain: uvicorn would cut it off."""

_NOT_HTTP: Final = RequestRejected("the request is not valid HTTP/1.1")


class _Protocol(HttpToolsProtocol):
    """Answers in our error shape even where no request could be read."""

    def send_400_response(self, msg: str) -> None:  # noqa: ARG002 - the library's signature
        body = json.dumps({"error": error_object(_NOT_HTTP)}).encode()
        head = (
            "HTTP/1.1 400 Bad Request\r\nContent-Type: application/json\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        self.transport.write(head.encode() + body)
        self.transport.close()

    def shutdown(self) -> None:
        if self.cycle is None:
            # None until a request has come, whatever the library declares.
            self.loop.call_later(FIRST_REQUEST_SECONDS, super().shutdown)  # type: ignore[unreachable]
        else:
            super().shutdown()


class _Uvicorn(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield  # signals are the whole process' affair (running.py)

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        # Takes in whoever waits to be accepted: the kernel cuts off who still does when the socket is closed.
        for _ in range(2):
            await asyncio.sleep(0)
        await super().shutdown(sockets)


class Listener:
    """One port and the application behind it."""

    def __init__(self, app: ASGIApp, host: str, port: int) -> None:
        """Binds at once.

        Raises:
            ConfigurationError: the address cannot be bound.
        """
        self._socket = _bound(host, port)
        self.port: int = self._socket.getsockname()[1]
        self._server = _Uvicorn(
            uvicorn.Config(
                app,
                http=_Protocol,
                ws="none",
                lifespan="off",
                log_config=None,
                access_log=False,
                server_header=False,
                proxy_headers=False,  # the peer's address decides who may write to the admin port
                timeout_keep_alive=KEEP_ALIVE_SECONDS,
                backlog=BACKLOG,
            )
        )
        self._serving: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Accepts connections from now on."""
        self._serving = asyncio.create_task(self._server.serve(sockets=[self._socket]), name=f"listener-{self.port}")

    async def stop(self, grace_seconds: float) -> None:
        """Accepts nothing more; gives running requests ``grace_seconds`` before their tasks are cancelled."""
        self._server.config.timeout_graceful_shutdown = max(1, round(grace_seconds))
        self._server.should_exit = True
        if self._serving is not None:
            await self._serving
        self._socket.close()


def _bound(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        bound = socket.socket(family, kind, protocol)
        try:
            bound.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            bound.bind(address)
            bound.setblocking(False)  # noqa: FBT003 - the standard library's signature
        except BaseException:
            bound.close()
            raise
    except OSError as error:
        raise ConfigurationError(f"cannot listen on {host} port {port}: {error.strerror or error}") from error
    return bound
