"""The API's ASGI application: routes, error handlers and the edge around them."""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Final

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse
from starlette.routing import Match
from starlette.types import ASGIApp, Receive, Scope, Send

from timbre_server.api.consents import add_consents
from timbre_server.api.edge import SEND_TIMEOUT_SECONDS, Edge
from timbre_server.api.errors import (
    error_response,
    internal_error,
    logged_error_response,
    method_not_allowed,
    unknown_path,
)
from timbre_server.api.linked_speech import LinkedSpeechRoute
from timbre_server.api.models import add_models
from timbre_server.api.speaker import Speaker
from timbre_server.api.speech import SpeechRoute
from timbre_server.api.validation import rejection
from timbre_server.api.voices import add_voices
from timbre_server.errors import InvalidBody, TimbreError
from timbre_server.service.cached_speech import CachedSpeechService
from timbre_server.service.catalogue import ModelCatalogue
from timbre_server.service.consents import ConsentService
from timbre_server.service.lifecycle import Lifecycle
from timbre_server.service.links import SpeechLinks
from timbre_server.service.voices import VoiceService
from timbre_server.telemetry.metrics import Metrics

DEFAULT_TENANT: Final = "default"
"""Whose voices an API without keys serves."""

TEXT_BYTES: Final = 256 << 10
"""What a body may hold beside a recording: 4,096 + 4,096 + 2,000 characters of 12 bytes at most each, as JSON escapes
what lies beyond the basic plane, and the frame around them."""


@dataclass(frozen=True)
class Services:
    """The use cases behind the routes."""

    speech: CachedSpeechService
    voices: VoiceService
    consents: ConsentService
    catalogue: ModelCatalogue
    links: SpeechLinks | None = None
    """None: no answer carries a link."""


@dataclass(frozen=True)
class ApiOptions:
    """What the API itself can be told."""

    max_upload_bytes: int
    access_log: bool = True
    send_timeout_seconds: float = SEND_TIMEOUT_SECONDS
    tenant: str = DEFAULT_TENANT

    @property
    def max_body_bytes(self) -> int:
        """Of any request: the largest recording in base64, which takes 4 bytes for 3, and texts."""
        return self.max_upload_bytes * 4 // 3 + TEXT_BYTES


def create_api(
    services: Services, *, lifecycle: Lifecycle, metrics: Metrics, encoders: Executor, options: ApiOptions
) -> ASGIApp:
    """The ASGI application of the API port; ``encoders`` is a small thread pool that its owner shuts down."""
    app = FastAPI(title="Timbre", docs_url=None, redoc_url=None, openapi_url=None, redirect_slashes=False)
    speaker = Speaker(services.speech, services.catalogue, metrics, encoders, services.links)
    uploads = options.max_upload_bytes
    add_models(app.router, services.catalogue)
    add_voices(app.router, services.voices, tenant=options.tenant, max_upload_bytes=uploads)
    add_consents(app.router, services.consents, tenant=options.tenant, max_upload_bytes=uploads)
    _take_head(app)
    _answer_errors(app)
    return Edge(
        _Fork(SpeechRoute(speaker, tenant=options.tenant, max_upload_bytes=uploads), LinkedSpeechRoute(speaker), app),
        lifecycle=lifecycle,
        metrics=metrics,
        max_body_bytes=options.max_body_bytes,
        access_log=options.access_log,
        send_timeout_seconds=options.send_timeout_seconds,
    )


class _Fork:
    """Speech to its own applications, all else to FastAPI's."""

    def __init__(self, speech: SpeechRoute, linked: LinkedSpeechRoute, others: ASGIApp) -> None:
        self._speech = speech
        self._linked = linked
        self._others = others

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        await self._application(scope)(scope, receive, send)

    def _application(self, scope: Scope) -> ASGIApp:
        if scope["type"] == "http":
            if scope["path"] == SpeechRoute.path:
                return self._speech
            if LinkedSpeechRoute.takes(scope["path"]):
                return self._linked
        return self._others


def _take_head(app: FastAPI) -> None:
    """Whatever can be read can be asked for without its body, as RFC 9110 (9.1) has it; the HTTP server leaves that out."""
    for route in app.routes:
        if isinstance(route, APIRoute) and route.methods and "GET" in route.methods:
            route.methods.add("HEAD")


def _answer_errors(app: FastAPI) -> None:
    """Makes every error of every origin one of ours in shape."""

    @app.exception_handler(TimbreError)
    async def foreseen(_: Request, error: TimbreError) -> JSONResponse:
        return logged_error_response(error)

    @app.exception_handler(RequestValidationError)
    async def invalid(_: Request, error: RequestValidationError) -> JSONResponse:
        found = [{**item, "loc": item["loc"][1:]} for item in error.errors()]  # without "query" in front
        return error_response(rejection(found))

    @app.exception_handler(HTTPException)
    async def unroutable(request: Request, error: HTTPException) -> JSONResponse:
        if error.status_code == 405:
            return method_not_allowed(_methods(app, request))
        if error.status_code == 404:
            return error_response(unknown_path())
        return error_response(InvalidBody("the request could not be read"))

    @app.exception_handler(Exception)
    async def unforeseen(_: Request, __: Exception) -> JSONResponse:
        return error_response(internal_error())  # the edge logs it


def _methods(app: FastAPI, request: Request) -> set[str]:
    """Every method that some route has for the path of the request."""
    found: set[str] = set()
    for route in app.routes:
        if route.matches(request.scope)[0] is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return found
