"""How is one request sent to the API server, and what came of it?

``kubernetes.aio`` finds the server (in a pod, or by KUBECONFIG) and keeps the token fresh: a pod's token is replaced about
every hour, and its loader reads the file again after a minute at most.  An authority that is exchanged is followed by
``authority``.  The generated classes are left aside; manifests
are plain objects here, and parsing them twice costs memory.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal, Self
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import aiohttp
import yaml  # type: ignore[import-untyped]  # ships no types
from kubernetes.aio.client import ApiClient, Configuration
from kubernetes.aio.config import ConfigException, load_incluster_config, load_kube_config

from timbre_operator.cluster.authority import Authority
from timbre_operator.cluster.refusals import refusal, retry_after_seconds
from timbre_operator.errors import ClusterError, Unavailable

Method = Literal["GET", "POST", "PUT", "PATCH", "DELETE"]

JSON: Final = "application/json"
APPLY: Final = "application/apply-patch+yaml"
MERGE: Final = "application/merge-patch+json"

_CONNECT_SECONDS: Final = 3.0
"""In one data centre a connection takes milliseconds; a lost packet is sent again after one and after three seconds."""
_REQUEST_SECONDS: Final = 10.0
"""An admission webhook may take 10 s by default, and with less the lease would outlive its renewals (deadline 10 s)."""
_LONGEST_WAIT_SECONDS: Final = 10.0
_TRIES: Final = 4
"""Of a request that the API server put off (429), each after the time that it asked for."""
_CONNECTIONS: Final = 16
"""Four workers, the lease, events, scrapes' annotations, and the lists of a resync beside each other."""


_NO_WAY: Final = "no way to the API server: not in a pod, and no usable KUBECONFIG"
_NO_KUBECONFIG: Final = (yaml.YAMLError, TypeError, ValueError, LookupError, AttributeError)
"""What the loader stumbles over in a file of another kind: it reads before it checks."""


@dataclass(frozen=True)
class Answer:
    """What came back."""

    code: int
    body: bytes
    headers: Mapping[str, str]


async def load_configuration() -> Configuration:
    """Inside of a pod its own, else that of KUBECONFIG.

    Raises:
        Unavailable: there is neither.
    """
    configuration = Configuration(connection_pool_maxsize=_CONNECTIONS)
    try:
        load_incluster_config(configuration)  # type: ignore[no-untyped-call]  # ships no types
    except ConfigException:
        try:
            await load_kube_config(client_configuration=configuration)  # type: ignore[no-untyped-call]  # ships no types
        except (ConfigException, OSError) as error:
            raise Unavailable(f"{_NO_WAY} ({error})") from error
        except _NO_KUBECONFIG as error:  # not in its words, which may quote the file
            raise Unavailable(f"{_NO_WAY} (the file is none)") from error
    return configuration


async def watch_session() -> tuple[str, aiohttp.ClientSession]:
    """For watches, which are requests without end: where the API server is, and a session whose every request has a
    token that is fresh.  Belongs to the running loop; whoever gets it closes it.
    """
    configuration = await load_configuration()
    client = ApiClient(configuration)
    authority = Authority(client.rest_client.ssl_context, configuration.ssl_ca_cert)

    async def authenticate(
        request: aiohttp.ClientRequest, handler: aiohttp.ClientHandlerType
    ) -> aiohttp.ClientResponse:
        authority.follow()
        await client.update_params_for_auth(
            request.headers, [], ["BearerToken"], request.url.path, request.method, None
        )
        return await handler(request)

    connector = aiohttp.TCPConnector(limit=0, ssl=client.rest_client.ssl_context)
    return configuration.host, aiohttp.ClientSession(
        connector=connector, middlewares=(authenticate,), trust_env=True, headers={"User-Agent": "timbre-operator"}
    )


class Connection:
    """Requests to one API server; made inside a running loop, closed at the end."""

    def __init__(self, configuration: Configuration, *, seen: Callable[[str, str], None] | None = None) -> None:
        # Where aiohttp heeds the environment it reads it, and a netrc file, in threads at each request: three times what
        # a request costs otherwise.
        configuration.client_session_kwargs = {"trust_env": _behind_proxy(configuration.host)}
        self._client = ApiClient(configuration)
        self._authority = Authority(self._client.rest_client.ssl_context, configuration.ssl_ca_cert)
        self._seen = seen or (lambda _method, _outcome: None)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self._client.close()  # type: ignore[no-untyped-call]  # ships no types

    async def request(
        self,
        method: Method,
        path: str,
        body: Any = None,
        *,
        content_type: str = JSON,
        seconds: float = _REQUEST_SECONDS,
        counted_as: str = "",
    ) -> dict[str, Any]:
        """The parsed answer to a request that went through; ``counted_as`` where its method says something else.

        Raises:
            ClusterError: it did not; which one says what to do.
        """
        counted = counted_as or method
        try:
            answer = await self._patient(method, path, body, content_type, seconds)
            if answer.code >= 400:
                raise refusal(answer.code, answer.body)
            parsed: dict[str, Any] = json.loads(answer.body)
        except ClusterError as error:
            self._seen(counted, error.reason)
            raise
        except ValueError as error:
            self._seen(counted, "NoJson")
            raise Unavailable("the API server's answer is no JSON", reason="NoJson") from error
        self._seen(counted, "ok")
        return parsed

    async def _patient(self, method: Method, path: str, body: Any, content_type: str, seconds: float) -> Answer:
        """Waits where the API server is too busy; what it put off was not done, so that any method may be sent again."""
        for tries_left in reversed(range(_TRIES)):
            answer = await self._once(method, path, body, content_type, seconds)
            if answer.code != 429 or tries_left == 0:
                return answer
            asked = retry_after_seconds(answer.headers, answer.body)
            await asyncio.sleep(1.0 if asked is None else min(asked, _LONGEST_WAIT_SECONDS))
        raise AssertionError("the last try returns")

    async def _once(self, method: Method, path: str, body: Any, content_type: str, seconds: float) -> Answer:
        headers = {"Content-Type": content_type, "Accept": JSON, "User-Agent": "timbre-operator"}
        timeout = aiohttp.ClientTimeout(total=seconds, connect=min(seconds, _CONNECT_SECONDS))
        self._authority.follow()
        try:
            await self._client.update_params_for_auth(headers, [], ["BearerToken"], path, method, body)
            response = await self._client.rest_client.request(  # type: ignore[no-untyped-call]  # ships no types
                method, self._client.configuration.host + path, headers=headers, body=body, _request_timeout=timeout
            )
            return Answer(response.status, await response.read(), response.headers)
        except (aiohttp.ClientError, TimeoutError, OSError, ConfigException) as error:
            raise Unavailable(f"the API server did not answer: {_said(error)}", reason="NoAnswer") from error


def _behind_proxy(address: str) -> bool:
    """Whether the environment names a proxy for it."""
    parts = urlsplit(address)
    return parts.scheme in getproxies() and not proxy_bypass(parts.hostname or "")


def _said(error: BaseException) -> str:
    return str(error) or type(error).__name__
