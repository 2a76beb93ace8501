"""The outermost layer of the API: request ids, the life cycle, the bound on bodies, metrics and the access log."""

from __future__ import annotations

import logging
import re
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Final

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from timbre_contract.api import SPEECH_PATH
from timbre_server.api.bounded_body import BoundedBody
from timbre_server.api.errors import error_response, internal_error
from timbre_server.api.linked_speech import LinkedSpeechRoute
from timbre_server.api.stalls import StallWatch
from timbre_server.errors import TimbreError
from timbre_server.service.lifecycle import Lifecycle
from timbre_server.telemetry.log import get_logger, request_id
from timbre_server.telemetry.metrics import Metrics

_SANE_REQUEST_ID: Final = re.compile(rb"[A-Za-z0-9._-]{1,128}")
"""What a client's own id may look like: safe in a header, a log line and a URL; longer than a UUID or a trace id."""

UNKNOWN_ROUTE: Final = "unknown"
"""The label of requests that no route took: paths come from clients and must not become labels."""

SEND_TIMEOUT_SECONDS: Final = 60.0
"""How long a client may take nothing of its answer: nginx's ``send_timeout``."""

CLIENT_LEFT: Final = 499
"""nginx's word for a client who left before the response was complete."""

BROKEN_OFF: Final = 500
"""For a response that we could not complete."""


def new_request_id() -> str:
    """``req_`` and 96 random bits in hex."""
    return f"req_{secrets.token_hex(12)}"


@dataclass
class _Exchange:
    """One request and what has become of it."""

    scope: Scope
    id: str
    started: float = field(default_factory=time.perf_counter)
    status: int = 0
    complete: bool = False
    client_left: bool = False

    def final_status(self) -> int:
        """The status for metrics: a response that broke off was not a success, whatever its headers said."""
        if self.complete:
            return self.status
        return CLIENT_LEFT if self.client_left else BROKEN_OFF

    def route(self) -> str:
        """The template of the route, as ``/v1/audio/voices/{voice_id}``."""
        return getattr(self.scope.get("route"), "path", UNKNOWN_ROUTE)


class Edge:
    """ASGI middleware around the whole API.

    Nothing leaves it as an exception: what nobody foresaw is logged with its traceback and becomes a 500, or
    breaks the connection off where the response has begun.
    """

    def __init__(
        self,
        app: ASGIApp,
        *,
        lifecycle: Lifecycle,
        metrics: Metrics,
        max_body_bytes: int,
        access_log: bool = True,
        send_timeout_seconds: float = SEND_TIMEOUT_SECONDS,
        id_source: Callable[[], str] = new_request_id,
    ) -> None:
        self._app = app
        self._lifecycle = lifecycle
        self._metrics = metrics
        self._max_body_bytes = max_body_bytes
        self._access_log = access_log
        self._send_timeout_seconds = send_timeout_seconds
        self._id_source = id_source
        self._log = get_logger("api")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http":  # lifespan; there are no websockets here
            await self._app(scope, receive, send)
            return
        exchange = _Exchange(scope, _client_id(scope) or self._id_source())
        token = request_id.set(exchange.id)
        body = BoundedBody(scope, receive, self._max_body_bytes)
        stalls = StallWatch(self._send_timeout_seconds)
        try:
            with self._lifecycle.request():
                await self._serve(exchange, body, self._observed(exchange, body, stalls, send))
        finally:
            stalls.close()
            exchange.client_left = body.client_left
            self._finish(exchange)
            request_id.reset(token)

    async def _serve(self, exchange: _Exchange, body: BoundedBody, send: Send) -> None:
        try:
            self._lifecycle.check_accepting(caches_may_do=_may_be_kept(exchange.scope["path"]))
            await self._app(exchange.scope, body.receive, send)
        except TimbreError as error:  # before a route: the application answers its own errors itself
            await self._refuse(exchange, body, send, error)
        except ClientDisconnect:
            pass  # in mid-upload, or it stopped reading: nobody is there to be told anything
        except Exception:  # noqa: BLE001 -- the edge of the API: one request's failure must not reach others
            self._log.exception("unexpected failure")
            await self._refuse(exchange, body, send, internal_error())

    async def _refuse(self, exchange: _Exchange, body: BoundedBody, send: Send, error: TimbreError) -> None:
        if exchange.status == 0:
            await body.discard()
            await error_response(error)(exchange.scope, body.receive, send)

    def _observed(self, exchange: _Exchange, body: BoundedBody, stalls: StallWatch, send: Send) -> Send:
        async def observed(message: Message) -> None:
            if message["type"] == "http.response.start":
                exchange.status = message["status"]
                headers = [*message.get("headers", ()), (b"x-request-id", exchange.id.encode())]
                if self._lifecycle.closing or body.must_close:
                    headers.append((b"connection", b"close"))
                message["headers"] = headers
            elif not message.get("more_body", False):
                exchange.complete = not body.client_left
            try:
                await stalls.send(send, message)
            except ClientDisconnect:  # a client that reads no more would hold its work, and the drain, for ever
                body.client_left, exchange.complete = True, False
                raise

        return observed

    def _finish(self, exchange: _Exchange) -> None:
        seconds = time.perf_counter() - exchange.started
        status, route = exchange.final_status(), exchange.route()
        self._metrics.request_finished(route, status, seconds)
        if self._access_log and self._log.isEnabledFor(logging.INFO):
            fields = {
                "method": exchange.scope["method"],
                "route": route,
                "status": status,
                "seconds": round(seconds, 6),
            }
            self._log.info("request finished", extra={"fields": fields})


def _may_be_kept(path: str) -> bool:
    return path == SPEECH_PATH or LinkedSpeechRoute.takes(path)


def _client_id(scope: Scope) -> str | None:
    """The client's own request id, if it is sane."""
    for name, value in scope["headers"]:
        if name == b"x-request-id" and _SANE_REQUEST_ID.fullmatch(value):
            return str(value, "ascii")
    return None
