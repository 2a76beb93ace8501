"""The admin port: is the process alive, is it ready, what are its metrics, what does it hold, and please drain."""

from __future__ import annotations

import hmac
import ipaddress
from collections.abc import Callable, Mapping
from dataclasses import dataclass

from prometheus_client import CONTENT_TYPE_PLAIN_0_0_4
from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from timbre_contract import api as paths
from timbre_server.api.errors import error_response, method_not_allowed
from timbre_server.errors import RouteNotFound, TimbreError
from timbre_server.service.lifecycle import Lifecycle


@dataclass(frozen=True)
class AdminHooks:
    """What the admin port may see and set off."""

    health: Callable[[], str | None]
    """None while all is well, else why a restart is the only cure."""
    exposition: Callable[[], bytes]
    """The metrics in Prometheus' text format."""
    drain: Callable[[], None]
    """Begins the drain; idempotent."""
    cache: Callable[[], Mapping[str, object]]
    """What the voice cache holds and how fresh it is."""
    token: str | None = None
    """Who shows it may write from anywhere; without one, writes need loopback."""


def create_admin(lifecycle: Lifecycle, hooks: AdminHooks) -> Starlette:
    """The ASGI application of the admin port."""

    async def live(_: Request) -> Response:
        broken = hooks.health()
        if broken is None:
            return JSONResponse({"status": "alive"})
        return JSONResponse({"status": "broken", "reason": broken}, status_code=503)

    async def ready(_: Request) -> Response:
        reason = lifecycle.reason if not lifecycle.ready else hooks.health()
        if reason:
            return JSONResponse({"status": lifecycle.state, "reason": reason}, status_code=503)
        return JSONResponse({"status": lifecycle.state})

    async def metrics(_: Request) -> Response:
        return Response(hooks.exposition(), media_type=CONTENT_TYPE_PLAIN_0_0_4)

    async def drain(request: Request) -> Response:
        if not _may_write(request, hooks.token):
            return JSONResponse(
                {"status": "refused", "reason": "draining needs loopback, or the admin token"}, status_code=403
            )
        hooks.drain()
        return JSONResponse({"status": lifecycle.state, "in_flight": lifecycle.in_flight}, status_code=202)

    async def cache(_: Request) -> Response:
        return JSONResponse(dict(hooks.cache()))

    return Starlette(
        routes=[
            Route(paths.LIVE_PATH, live),
            Route(paths.READY_PATH, ready),
            Route(paths.METRICS_PATH, metrics),
            Route(paths.CACHE_PATH, cache),
            Route(paths.DRAIN_PATH, drain, methods=["POST"]),
        ],
        exception_handlers={404: _not_found, 405: _not_allowed, 500: _failed},
    )


def _not_found(_: Request, __: Exception) -> Response:
    return error_response(
        RouteNotFound(
            "no route has this path: probes, metrics, cache and drain are here, the API has a port of its own"
        )
    )


def _not_allowed(_: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    assert error.headers is not None
    return method_not_allowed(error.headers["Allow"].split(", "))


def _failed(_: Request, __: Exception) -> Response:
    return error_response(TimbreError("the server failed; its log has the reason"))


def _may_write(request: Request, token: str | None) -> bool:
    """Loopback without a token, or the token from anywhere."""
    scheme, _, shown = request.headers.get("authorization", "").partition(" ")
    if token and scheme.lower() == "bearer" and hmac.compare_digest(shown.strip().encode(), token.encode()):
        return True
    return request.client is not None and ipaddress.ip_address(request.client.host).is_loopback
