"""The admin port, spoken to over ASGI from addresses of our choice."""

from collections.abc import Mapping

import httpx2
import pytest
from prometheus_client.parser import text_string_to_metric_families

from timbre_server.api.admin import AdminHooks, create_admin
from timbre_server.service.lifecycle import Lifecycle
from timbre_server.telemetry.metrics import Metrics

LOOPBACK, ELSEWHERE = "127.0.0.1", "10.1.2.3"


class Server:
    """An admin application over a real life cycle; ``broken`` is what its health says, ``failing`` what its cache does."""

    def __init__(self, token: str | None = None, *, failing: bool = False) -> None:
        self.lifecycle = Lifecycle()
        self.broken: str | None = None
        self._failing = failing
        hooks = AdminHooks(lambda: self.broken, Metrics().exposition, self.lifecycle.drain, self._cache, token)
        self._app = create_admin(self.lifecycle, hooks)

    def _cache(self) -> Mapping[str, object]:
        if self._failing:
            raise ValueError("a secret of the inside")
        return {"held": 7}

    def client(self, address: str = LOOPBACK) -> httpx2.AsyncClient:
        transport = httpx2.ASGITransport(self._app, client=(address, 1234), raise_app_exceptions=False)
        return httpx2.AsyncClient(transport=transport, base_url="http://admin")


async def test_a_starting_server_is_alive_but_not_ready_and_says_why() -> None:
    async with Server().client() as client:
        assert (await client.get("/livez")).status_code == 200
        ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (503, {"status": "starting", "reason": "the engine is loading"})


async def test_a_ready_server_says_so() -> None:
    server = Server()
    server.lifecycle.become_ready()
    async with server.client(ELSEWHERE) as client:
        ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()) == (200, {"status": "ready"})


async def test_what_the_cache_holds_is_told_inside_the_cluster() -> None:
    async with Server().client(ELSEWHERE) as client:
        assert (await client.get("/cache")).json() == {"held": 7}


async def test_a_broken_engine_is_neither_alive_nor_ready() -> None:
    server = Server()
    server.lifecycle.become_ready()
    server.broken = "the engine's thread has ended"
    async with server.client() as client:
        for path in ("/livez", "/readyz"):
            answer = await client.get(path)
            assert answer.status_code == 503
            assert answer.json()["reason"] == server.broken


async def test_draining_is_not_ready() -> None:
    server = Server()
    server.lifecycle.become_ready()
    async with server.client() as client:
        assert (await client.post("/drain")).status_code == 202
        ready = await client.get("/readyz")
    assert (ready.status_code, ready.json()["status"]) == (503, "draining")


@pytest.mark.parametrize(
    ("address", "token", "shown", "status"),
    [
        (LOOPBACK, None, None, 202),
        ("::1", None, None, 202),
        (ELSEWHERE, None, None, 403),
        (ELSEWHERE, None, "Bearer ", 403),
        (ELSEWHERE, "secret", "Bearer secret", 202),
        (ELSEWHERE, "secret", "bearer secret", 202),
        (ELSEWHERE, "secret", "Bearer wrong", 403),
        (ELSEWHERE, "secret", "Basic secret", 403),
        (ELSEWHERE, "secret", None, 403),
    ],
)
async def test_draining_needs_loopback_or_the_token(
    address: str, token: str | None, shown: str | None, status: int
) -> None:
    server = Server(token)
    server.lifecycle.become_ready()
    async with server.client(address) as client:
        answer = await client.post("/drain", headers={} if shown is None else {"Authorization": shown})
    assert answer.status_code == status
    assert server.lifecycle.closing == (status == 202)


async def test_draining_is_never_done_by_a_read() -> None:
    server = Server()
    async with server.client() as client:
        for read in ("GET", "HEAD"):
            assert (await client.request(read, "/drain")).status_code == 405
    assert not server.lifecycle.closing


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "allowed"),
    [
        ("GET", "/", 404, "unknown_url", None),
        ("GET", "/v1/models", 404, "unknown_url", None),
        ("GET", "/drain", 405, "method_not_allowed", "POST"),
        ("POST", "/metrics", 405, "method_not_allowed", "GET, HEAD"),
        ("GET", "/cache", 500, "internal_error", None),
    ],
)
async def test_every_error_has_the_shape_of_the_apis(
    method: str, path: str, status: int, code: str, allowed: str | None
) -> None:
    async with Server(failing=True).client() as client:
        answer = await client.request(method, path)
    assert (answer.status_code, answer.headers.get("allow")) == (status, allowed)
    error = answer.json()["error"]
    assert (error.keys(), error["code"]) == ({"message", "type", "param", "code"}, code)
    assert "secret" not in error["message"]


async def test_metrics_are_in_prometheus_text_format() -> None:
    async with Server().client(ELSEWHERE) as client:
        answer = await client.get("/metrics")
    assert answer.headers["content-type"].startswith("text/plain; version=0.0.4")
    assert "timbre_pending_requests" in {family.name for family in text_string_to_metric_families(answer.text)}
