"""What does the admin port answer?  Probes and metrics, and what other parts add."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterable
from contextlib import asynccontextmanager

from aiohttp import web

from timbre_operator.app.health import Health
from timbre_operator.metrics import CONTENT_TYPE, Metrics


def build_admin(health: Health, metrics: Metrics, routes: Iterable[web.RouteDef] = ()) -> web.Application:
    """``/livez``, ``/readyz``, ``/metrics``, and the routes that other parts add."""

    async def live(_: web.Request) -> web.Response:
        return _answer(health.dead())

    async def ready(_: web.Request) -> web.Response:
        return _answer(health.unready())

    async def scrape(_: web.Request) -> web.Response:
        return web.Response(body=metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    application = web.Application()
    application.router.add_get("/livez", live)
    application.router.add_get("/readyz", ready)
    application.router.add_get("/metrics", scrape)
    application.router.add_routes(list(routes))
    return application


@asynccontextmanager
async def serving(application: web.Application, host: str, port: int) -> AsyncIterator[int]:
    """Listens while the context lasts; yields the port, a free one where 0 was asked for."""
    runner = web.AppRunner(application, access_log=None, shutdown_timeout=2.0)
    await runner.setup()
    try:
        site = web.TCPSite(runner, host, port)
        await site.start()
        yield int(runner.addresses[0][1])
    finally:
        await runner.cleanup()


def _answer(problems: list[str]) -> web.Response:
    return web.Response(status=503 if problems else 200, text="\n".join(problems or ["ok"]) + "\n")
