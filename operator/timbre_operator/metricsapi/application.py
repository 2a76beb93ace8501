"""Which requests does ``custom.metrics.k8s.io`` get, and what becomes of each?"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Any, Final

from aiohttp import web
from aiohttp.typedefs import Handler

from timbre_contract import labels
from timbre_operator.metricsapi import documents
from timbre_operator.metricsapi.front_proxy import FrontProxy
from timbre_operator.ports import SeriesSource, ServiceKey

HEALTH_PATH: Final = "/healthz"
_ROOT: Final = f"/apis/{documents.GROUP_VERSION}"
_ALL: Final = "*"
"""Instead of a name: all objects."""
_AGGREGATED: Final = "apidiscovery.k8s.io"
"""In ``Accept``: the API server asks for a newer form of discovery first, and for the older one where there is none."""


class Door:
    """Who is let in; changed while requests are answered."""

    def __init__(self) -> None:
        self.front_proxy: FrontProxy | None = None
        """None while nobody is: then it is not known who speaks for the API server."""

    def refusal(self, request: web.Request) -> tuple[HTTPStatus, str] | None:
        """None for who may ask."""
        certificate: Any = request.get_extra_info("peercert")
        if self.front_proxy is None or not certificate:
            return HTTPStatus.UNAUTHORIZED, "only the API server is answered, by its front proxy's certificate"
        if not self.front_proxy.admits(certificate):
            return HTTPStatus.FORBIDDEN, "this certificate is not the front proxy's"
        return None


def build_application(
    source: SeriesSource,
    door: Door,
    *,
    answered: Callable[[int], None] | None = None,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
) -> web.Application:
    """``answered`` hears of the status of each answer but those to probes."""
    api = _Api(source, now)

    @web.middleware
    async def guarded(request: web.Request, handler: Handler) -> web.StreamResponse:
        if request.path == HEALTH_PATH:
            return await handler(request)
        response = await _answer(door, request, handler)
        if answered is not None:
            answered(response.status)
        return response

    application = web.Application(middlewares=[guarded])
    application.router.add_get(HEALTH_PATH, _healthy)
    application.router.add_get("/apis", api.groups)
    application.router.add_get(f"/apis/{documents.GROUP}", api.group)
    application.router.add_get(_ROOT, api.resources)
    described = f"{_ROOT}/namespaces/{{namespace}}/{documents.RESOURCE}/{{name}}/{{series}}"
    application.router.add_get(described, api.values)
    return application


async def _answer(door: Door, request: web.Request, handler: Handler) -> web.StreamResponse:
    if (refusal := door.refusal(request)) is not None:
        return _failure(*refusal)
    try:
        return await handler(request)
    except web.HTTPMethodNotAllowed:
        return _failure(HTTPStatus.METHOD_NOT_ALLOWED, "series can only be read")
    except web.HTTPNotFound:
        return _failure(HTTPStatus.NOT_FOUND, "the server could not find the requested resource")


async def _healthy(_: web.Request) -> web.Response:
    return web.Response(text="ok\n")


class _Api:
    """The handlers."""

    def __init__(self, source: SeriesSource, now: Callable[[], datetime]) -> None:
        self._source = source
        self._now = now

    async def groups(self, request: web.Request) -> web.Response:
        if _AGGREGATED in request.headers.get("Accept", ""):
            return _failure(HTTPStatus.NOT_FOUND, "discovery is served group by group")
        return web.json_response(documents.group_list())

    async def group(self, _: web.Request) -> web.Response:
        return web.json_response(documents.group())

    async def resources(self, _: web.Request) -> web.Response:
        return web.json_response(documents.resource_list())

    async def values(self, request: web.Request) -> web.Response:
        namespace, name, series = (request.match_info[part] for part in ("namespace", "name", "series"))
        if series not in documents.SERIES:
            return _missing(f"there is no series {series}; there are {', '.join(documents.SERIES)}", series)
        if any(request.query.get(selector) for selector in ("labelSelector", "metricLabelSelector")):
            return _failure(
                HTTPStatus.BAD_REQUEST, "series have no labels to select by; ask for a VoiceService by its name"
            )
        if name == _ALL:
            return self._list(series, [key for key in self._source.services() if key.namespace == namespace])
        key = ServiceKey(namespace, name)
        known = self._source.series(key)
        if known is not None:
            return web.json_response(documents.value_list(series, [(key, known[series])], self._now()))
        if key not in self._source.services():
            return _missing(f'{documents.RESOURCE} "{name}" not found', name)
        return _failure(HTTPStatus.SERVICE_UNAVAILABLE, f"the load of {name} is not known: its pods were not heard")

    def _list(self, series: str, keys: Sequence[ServiceKey]) -> web.Response:
        known: Mapping[ServiceKey, Mapping[str, float] | None] = {key: self._source.series(key) for key in keys}
        values = [(key, its[series]) for key, its in known.items() if its is not None]
        return web.json_response(documents.value_list(series, values, self._now()))


def _missing(message: str, name: str) -> web.Response:
    details = {"name": name, "group": labels.GROUP, "kind": labels.PLURAL}
    return _failure(HTTPStatus.NOT_FOUND, message, details)


def _failure(status: HTTPStatus, message: str, details: Mapping[str, Any] | None = None) -> web.Response:
    return web.json_response(documents.failure(status, message, details), status=status)
