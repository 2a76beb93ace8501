"""How does a client of Redis come about, for each way that a Redis can stand there?

The library's defaults retry ten times and wait five seconds each time: 4 s to find a closed port, 59 s for a server that
says nothing (measured with redis-py 8.1).  So nothing here retries, and every wait is given.  RESP 2 needs no handshake,
and its pub/sub connections deliver everything.
"""

from __future__ import annotations

import ssl
from collections.abc import Awaitable, Callable, Mapping
from pathlib import Path
from typing import Any, Final

import redis.exceptions
from redis.asyncio import Redis
from redis.asyncio.cluster import ClusterNode, RedisCluster
from redis.asyncio.connection import Connection, ConnectionPool, UnixDomainSocketConnection
from redis.asyncio.retry import Retry
from redis.asyncio.sentinel import Sentinel, SentinelConnectionPool, SentinelManagedConnection
from redis.backoff import NoBackoff
from redis.credentials import CredentialProvider

from timbre_server.errors import ConfigurationError
from timbre_server.settings import RedisSettings
from timbre_server.store.addresses import addresses_from

Client = Any
"""``redis.asyncio.Redis`` or ``RedisCluster``: they share their commands, not their types."""

_PROTOCOL: Final = 2

Route = Callable[[], Awaitable[tuple[str, int]]]
"""Finds host and port of the server that a connection should lead to."""


class FileCredentials(CredentialProvider):
    """User and password, the password read from its file for each new connection."""

    def __init__(self, username: str, password: str, file: Path | None) -> None:
        self._username = username
        self._password = password
        self._file = file

    def get_credentials(self) -> tuple[str] | tuple[str, str]:
        """As the library wants them: user and password, or a password alone."""
        try:
            password = self._password if self._file is None else self._file.read_text("utf-8").strip()
        except (OSError, ValueError) as error:
            raise redis.exceptions.AuthenticationError("the password file cannot be read") from error
        return (self._username, password) if self._username else (password,)

    async def get_credentials_async(self) -> tuple[str] | tuple[str, str]:
        """The same; a mounted secret is read from memory."""
        return self.get_credentials()


class _TlsMixin(Connection):
    """One TLS context for all connections: to make one takes 10 ms, and it trusts exactly whom the settings name."""

    def __init__(self, *, tls_context: ssl.SSLContext, **options: Any) -> None:
        self._tls_context = tls_context
        super().__init__(**options)

    def _connection_arguments(self) -> Mapping[str, Any]:
        return {**super()._connection_arguments(), "ssl": self._tls_context}


class _RoutedConnection(Connection):
    """Asks at each connect where to go."""

    def __init__(self, *, route: Route, **options: Any) -> None:
        self._route = route
        super().__init__(**options)

    async def _connect(self) -> None:
        self.host, self.port = await self._route()
        await super()._connect()  # type: ignore[no-untyped-call]  # the library has no types here


class _TlsConnection(_TlsMixin):
    pass


class _TlsRoutedConnection(_RoutedConnection, _TlsMixin):
    pass


class _TlsSentinelConnection(SentinelManagedConnection, _TlsMixin):
    pass


class Clients:
    """Makes clients as the settings say; owns what they share."""

    def __init__(self, settings: RedisSettings) -> None:
        """Raises: ConfigurationError: the URL or a file of the settings cannot be used."""
        self._settings = settings
        self._addresses = addresses_from(settings)
        self._tls: dict[str, Any] = {"tls_context": _tls_context(settings)} if self._addresses.tls else {}
        self._sentinel = self._sentinels() if settings.mode == "sentinel" else None

    def pooled(self, *, max_connections: int) -> Client:
        """A client for everybody; whoever calls it bounds each call's time."""
        if self._settings.mode == "cluster":
            return self._cluster(max_connections)
        return Redis.from_pool(self._pool(max_connections, self._options(None)))

    def dedicated(self, *, read_timeout_seconds: float, route: Route) -> Client:
        """A client of one connection; ``route`` finds its server in a cluster."""
        options = self._options(read_timeout_seconds)
        if self._settings.mode == "cluster":
            kind = _TlsRoutedConnection if self._tls else _RoutedConnection
            pool = ConnectionPool(kind, max_connections=1, route=route, **options, **self._tls)
        else:
            pool = self._pool(1, options)
        client = Redis(connection_pool=pool, single_connection_client=True)
        client.auto_close_connection_pool = True
        return client

    async def close(self) -> None:
        """Closes what the clients share; each of them is closed by its owner."""
        if self._sentinel is not None:
            await self._sentinel.aclose()

    def _options(self, read_timeout_seconds: float | None) -> dict[str, Any]:
        """What every connection is made with; without a timeout of its own, its callers bound their calls."""
        addresses, settings = self._addresses, self._settings
        return {
            **_connection_options(settings),
            "socket_timeout": read_timeout_seconds,
            "db": addresses.database,
            "credential_provider": _credentials(
                settings.username or addresses.username, addresses.password, settings.password_file
            ),
        }

    def _pool(self, max_connections: int, options: dict[str, Any]) -> ConnectionPool:
        addresses = self._addresses
        if addresses.unix_path:
            return ConnectionPool(
                UnixDomainSocketConnection, max_connections=max_connections, path=addresses.unix_path, **options
            )
        if self._sentinel is not None:
            kind: type[Connection] = _TlsSentinelConnection if self._tls else SentinelManagedConnection
            return SentinelConnectionPool(  # type: ignore[no-untyped-call]  # the library has no types here
                self._settings.sentinel_master,
                self._sentinel,
                connection_class=kind,
                max_connections=max_connections,
                **options,
                **self._tls,
            )
        host, port = addresses.nodes[0]
        kind = _TlsConnection if self._tls else Connection
        return ConnectionPool(kind, max_connections=max_connections, host=host, port=port, **options, **self._tls)

    def _sentinels(self) -> Sentinel:
        """Sentinels have a password of their own, and no database."""
        settings = self._settings
        sentinel = Sentinel(())  # type: ignore[no-untyped-call]  # the library has no types here
        options = {
            **_connection_options(settings),
            "socket_timeout": settings.read_timeout_seconds,
            "credential_provider": _credentials("", "", settings.sentinel_password_file),
            **self._tls,
        }
        kind = _TlsConnection if self._tls else Connection
        most = settings.max_connections + 16  # each connection that is made asks first; some are dedicated
        sentinel.sentinels = [
            Redis.from_pool(ConnectionPool(kind, max_connections=most, host=host, port=port, **options))
            for host, port in self._addresses.nodes
        ]
        return sentinel

    def _cluster(self, max_connections: int) -> RedisCluster:
        settings = self._settings
        options = self._options(settings.write_timeout_seconds + settings.wait_timeout_seconds)
        client = RedisCluster(
            startup_nodes=[ClusterNode(host, port) for host, port in self._addresses.nodes],
            require_full_coverage=False,  # what the slots that are left hold can still be had
            max_connections=max_connections,
            **{**options, "retry": Retry(NoBackoff(), 0)},
        )
        if self._tls:  # the cluster's client takes no class of connections
            client.connection_kwargs.update({"connection_class": _TlsConnection, **self._tls})
            for node in client.nodes_manager.startup_nodes.values():
                node.connection_class = _TlsConnection
                node.connection_kwargs.update(self._tls)
        return client


def _connection_options(settings: RedisSettings) -> dict[str, Any]:
    return {
        "socket_connect_timeout": settings.connect_timeout_seconds,
        "protocol": _PROTOCOL,
        "driver_info": None,  # two commands less for each new connection
    }


def _credentials(username: str, password: str, file: Path | None) -> FileCredentials | None:
    return FileCredentials(username, password, file) if username or password or file else None


def _tls_context(settings: RedisSettings) -> ssl.SSLContext:
    """Raises: ConfigurationError: a file cannot be read or is no certificate."""
    try:
        context = ssl.create_default_context(cafile=settings.tls_ca_file and str(settings.tls_ca_file))
        if settings.tls_cert_file:
            context.load_cert_chain(settings.tls_cert_file, settings.tls_key_file)
    except (OSError, ssl.SSLError) as error:
        raise ConfigurationError(
            "TIMBRE_REDIS__TLS_CA_FILE, TLS_CERT_FILE or TLS_KEY_FILE is no readable certificate or key"
        ) from error
    return context
