"""How does a client for one look come about?

A client lives for one look: looks are rare, and a password or a certificate that was changed counts at the next one.  The
library's defaults retry ten times and wait five seconds each time, so nothing here retries and every wait is given.
"""

from __future__ import annotations

import os
import ssl
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any, Final

from redis.asyncio import Redis
from redis.asyncio.connection import Connection, ConnectionPool
from redis.asyncio.retry import Retry
from redis.backoff import NoBackoff

from timbre_operator.pem import ascii_only
from timbre_operator.ports import RedisTarget

Client = Any
"""``redis.asyncio.Redis``, whose commands have no types that hold."""
Node = tuple[str, int]
"""Host and port."""

CONNECT_SECONDS: Final = 2.0
"""A packet that is lost is sent again after one second (RFC 6298); this one may be lost once."""
HANDSHAKE_SECONDS: Final = 1.5
"""Less than a connection may take: a server without TLS waits for the rest of a command, and that has a name of its own."""
ANSWER_SECONDS: Final = 2.0
"""A busy Redis answers within milliseconds; whoever takes two seconds serves nobody."""
DEFAULT_PORT: Final = 6379
DEFAULT_SENTINEL_PORT: Final = 26379


class _TlsConnection(Connection):
    """With a context of ours, which trusts exactly whom the target names."""

    def __init__(self, *, tls_context: ssl.SSLContext, **options: Any) -> None:
        self._tls_context = tls_context
        super().__init__(**options)

    def _connection_arguments(self) -> Mapping[str, Any]:
        arguments = super()._connection_arguments()
        return {**arguments, "ssl": self._tls_context, "ssl_handshake_timeout": HANDSHAKE_SECONDS}


class Connections:
    """Makes clients for one target."""

    def __init__(self, target: RedisTarget) -> None:
        """Raises: ssl.SSLError: a certificate or a key is none."""
        self._target = target
        self._context = _tls_context(target) if target.tls else None

    def nodes(self) -> list[Node]:
        """Those that the target names."""
        default = DEFAULT_SENTINEL_PORT if self._target.mode == "sentinel" else DEFAULT_PORT
        return [_node(text, default) for text in self._target.address.split(",")]

    @asynccontextmanager
    async def server(self, node: Node) -> AsyncIterator[Client]:
        """A client of a server that keeps data."""
        target = self._target
        options = {"db": target.database, "username": target.username or None, "password": target.password or None}
        async with self._client(node, options) as client:
            yield client

    @asynccontextmanager
    async def sentinel(self, node: Node) -> AsyncIterator[Client]:
        """A client of a Sentinel: it has a password of its own."""
        async with self._client(node, {"password": self._target.sentinel_password or None}) as client:
            yield client

    @asynccontextmanager
    async def _client(self, node: Node, options: Mapping[str, Any]) -> AsyncIterator[Client]:
        tls: dict[str, Any] = {} if self._context is None else {"tls_context": self._context}
        pool = ConnectionPool(
            Connection if self._context is None else _TlsConnection,
            max_connections=1,
            host=node[0],
            port=node[1],
            socket_connect_timeout=CONNECT_SECONDS,
            socket_timeout=ANSWER_SECONDS,
            retry=Retry(NoBackoff(), 0),
            protocol=2,
            driver_info=None,  # two commands less
            decode_responses=True,
            **options,
            **tls,
        )
        client = Redis.from_pool(pool)
        try:
            yield client
        finally:
            await client.aclose()


def _node(text: str, default_port: int) -> Node:
    host, separator, port = text.strip().rpartition(":")
    if not separator or port.endswith("]"):  # no port; an IPv6 address stands in brackets
        host, port = text.strip(), str(default_port)
    return host.removeprefix("[").removesuffix("]"), int(port)


def _tls_context(target: RedisTarget) -> ssl.SSLContext:
    """Raises: ssl.SSLError."""
    context = ssl.create_default_context(cadata=ascii_only(target.ca_pem) or None)
    if target.certificate_pem:
        _load_certificate(context, target)
    return context


def _load_certificate(context: ssl.SSLContext, target: RedisTarget) -> None:
    """The library reads files only; this one is in memory, and gone when it is closed."""
    file = os.memfd_create("timbre-certificate", os.MFD_CLOEXEC)
    try:
        with os.fdopen(file, "wb", closefd=False) as writer:
            writer.write(f"{target.certificate_pem}\n{target.key_pem}\n".encode())
        context.load_cert_chain(f"/proc/self/fd/{file}")
    finally:
        os.close(file)
