"""What does ``TIMBRE_REDIS__URL`` say: which servers, over TLS or not, which database, as whom?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final
from urllib.parse import unquote

from timbre_server.errors import ConfigurationError
from timbre_server.settings import RedisSettings

_URL: Final = "TIMBRE_REDIS__URL"
_DEFAULT_PORTS: Final = {"standalone": 6379, "sentinel": 26379, "cluster": 6379}  # those of Redis itself


@dataclass(frozen=True)
class Addresses:
    """Where Redis is."""

    nodes: tuple[tuple[str, int], ...]
    """Host and port of the server, of the Sentinels, or of some nodes of the cluster; empty where there is a path."""
    unix_path: str = ""
    """Path of a Unix socket."""
    tls: bool = False
    database: int = 0
    username: str = ""
    password: str = ""
    """As the URL has it; a password file comes first."""


def addresses_from(settings: RedisSettings) -> Addresses:
    """What the URL says.

    Raises:
        ConfigurationError: it cannot be; the message never repeats it, for it may hold a password.
    """
    scheme, separator, rest = settings.url.partition("://")
    if not separator or scheme not in {"redis", "rediss", "unix"}:
        raise ConfigurationError(f"{_URL} must begin with redis://, rediss:// or unix://")
    if "?" in rest or "#" in rest:
        raise ConfigurationError(f"{_URL} takes no options; they have settings of their own, TIMBRE_REDIS__...")
    if scheme == "unix":
        if settings.mode != "standalone" or not rest.startswith("/"):
            raise ConfigurationError(f"{_URL}: unix:// needs the path of a socket and the mode standalone")
        return Addresses((), unix_path=unquote(rest))
    credentials, _, location = rest.rpartition("@")
    hosts, _, database = location.partition("/")
    username, _, password = credentials.partition(":")
    addresses = Addresses(
        nodes=tuple(_node(host, _DEFAULT_PORTS[settings.mode]) for host in hosts.split(",")),
        tls=scheme == "rediss",
        database=_database(database),
        username=unquote(username),
        password=unquote(password),
    )
    if settings.mode == "standalone" and len(addresses.nodes) > 1:
        raise ConfigurationError(f"{_URL} has several addresses; set TIMBRE_REDIS__MODE to sentinel or cluster")
    if settings.mode == "cluster" and addresses.database:
        raise ConfigurationError(f"{_URL}: a cluster has database 0 only")
    return addresses


def _node(text: str, default_port: int) -> tuple[str, int]:
    host, separator, port = text.strip().rpartition(":")
    if not separator or port.endswith("]"):  # no port; an IPv6 address stands in brackets
        host, port = text.strip(), str(default_port)
    host = host.removeprefix("[").removesuffix("]")
    if not host or not port.isdecimal() or not 0 < int(port) < 1 << 16:
        raise ConfigurationError(f"{_URL} has an address that is not host:port")
    return host, int(port)


def _database(text: str) -> int:
    if text and not text.isdecimal():
        raise ConfigurationError(f"{_URL}: the database must be a number")
    return int(text or 0)
