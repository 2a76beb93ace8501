"""Where does KEDA read the series?  As JSON, by its ``metrics-api`` trigger: it cannot read ``custom.metrics.k8s.io``."""

from __future__ import annotations

from collections.abc import Sequence
from http import HTTPStatus

from aiohttp import web

from timbre_contract import labels
from timbre_operator.ports import SeriesSource, ServiceKey


def build_routes(source: SeriesSource) -> Sequence[web.RouteDef]:
    """For the admin port: ``labels.series_path(...)`` answers ``{"value": ...}``.

    What is not known is an error: then KEDA holds the number of pods, as its ScaledObject says.
    """

    async def series(request: web.Request) -> web.Response:
        key = ServiceKey(request.match_info["namespace"], request.match_info["name"])
        known = source.series(key)
        if known is not None and (name := request.match_info["series"]) in known:
            return web.json_response({"value": known[name]})
        if known is None and key in source.services():
            return _error(HTTPStatus.SERVICE_UNAVAILABLE, "the load is not known: no pod was heard")
        return _error(HTTPStatus.NOT_FOUND, "there is no such VoiceService or series")

    return [web.get(labels.series_path("{namespace}", "{name}", "{series}"), series)]


def _error(status: HTTPStatus, message: str) -> web.Response:
    return web.json_response({"error": message}, status=status)
