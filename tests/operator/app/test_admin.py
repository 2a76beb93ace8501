"""What the admin port answers."""

from __future__ import annotations

from aiohttp import ClientSession, web

from timbre_operator.app.admin import build_admin, serving
from timbre_operator.app.health import Health
from timbre_operator.metrics import Metrics

ANY_PORT = 0


def _health(*, lost: bool = False, synced: bool = True) -> Health:
    return Health(
        idle_seconds=lambda: 0.0,
        most_idle=lambda: "",
        oldest_seconds=lambda: 0.0,
        lease_lost=lambda: lost,
        synced=lambda: synced,
        stale_seconds=300,
    )


async def _got(application: web.Application, path: str) -> tuple[int, str]:
    async with (
        serving(application, "127.0.0.1", ANY_PORT) as port,
        ClientSession() as session,
        session.get(f"http://127.0.0.1:{port}{path}") as answer,
    ):
        return answer.status, await answer.text()


async def test_probes_say_what_is_wrong() -> None:
    assert await _got(build_admin(_health(), Metrics()), "/livez") == (200, "ok\n")
    assert await _got(build_admin(_health(lost=True), Metrics()), "/livez") == (503, "the lease is lost\n")
    assert (await _got(build_admin(_health(synced=False), Metrics()), "/livez"))[0] == 200
    assert (await _got(build_admin(_health(synced=False), Metrics()), "/readyz"))[0] == 503


async def test_metrics_are_prometheus_text() -> None:
    metrics = Metrics()
    metrics.drift_corrected("Service")
    status, text = await _got(build_admin(_health(), metrics), "/metrics")
    assert status == 200
    assert 'timbre_operator_drift_corrections_total{kind="Service"} 1.0' in text


async def test_other_parts_add_their_routes() -> None:
    async def answer(_: web.Request) -> web.Response:
        return web.Response(text="series")

    admin = build_admin(_health(), Metrics(), [web.get("/series/x", answer)])
    assert await _got(admin, "/series/x") == (200, "series")
