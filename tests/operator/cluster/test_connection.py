"""One request, on a small server that answers as the API server does when it is not well."""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration
from kubernetes.aio.config.incluster_config import InClusterConfigLoader

from timbre_operator.cluster.connection import APPLY, Connection
from timbre_operator.errors import Forbidden, Unavailable

BUSY = {"kind": "Status", "reason": "TooManyRequests", "message": "busy"}


class Scripted:
    """Gives each request the next answer."""

    def __init__(self) -> None:
        self.answers: deque[web.Response] = deque()
        self.requests: list[tuple[str, str, Any, str]] = []
        self.tokens: list[str] = []
        self.hang = asyncio.Event()

    async def handle(self, request: web.Request) -> web.Response:
        self.tokens.append(request.headers.get("Authorization", ""))
        kind = request.headers.get("Content-Type", "")
        self.requests.append((request.method, request.path_qs, await request.text(), kind))
        if not self.answers:
            await self.hang.wait()
        return self.answers.popleft()


class Scene:
    """A connection to a scripted server, and what the connection told of it."""

    def __init__(self, server: Scripted, address: str, connection: Connection, seen: list[tuple[str, str]]) -> None:
        self.server, self.address, self.connection, self.seen = server, address, connection, seen


@pytest.fixture
async def scene() -> AsyncIterator[Scene]:
    scripted = Scripted()
    application = web.Application()
    application.router.add_route("*", "/{path:.*}", scripted.handle)
    async with TestServer(application) as server:
        seen: list[tuple[str, str]] = []
        configuration = Configuration(host=str(server.make_url("")).rstrip("/"))
        async with Connection(configuration, seen=lambda method, outcome: seen.append((method, outcome))) as connection:
            yield Scene(scripted, configuration.host, connection, seen)
        scripted.hang.set()


async def test_an_apply_is_sent_as_one_and_its_answer_parsed(scene: Scene) -> None:
    scene.server.answers.append(web.json_response({"kind": "Service"}))
    answer = await scene.connection.request("PATCH", "/api/v1/x?force=true", {"a": 1}, content_type=APPLY)
    assert answer == {"kind": "Service"}
    assert scene.server.requests == [("PATCH", "/api/v1/x?force=true", '{"a": 1}', APPLY)]
    assert scene.seen == [("PATCH", "ok")]


async def test_a_request_that_was_put_off_is_sent_again(scene: Scene) -> None:
    for _ in range(2):
        scene.server.answers.append(web.json_response(BUSY, status=429, headers={"Retry-After": "0"}))
    scene.server.answers.append(web.json_response({}))
    await scene.connection.request("POST", "/x", {})
    assert len(scene.server.requests) == 3


async def test_one_that_is_put_off_again_and_again_may_go_through_later(scene: Scene) -> None:
    for _ in range(4):
        scene.server.answers.append(web.json_response(BUSY, status=429, headers={"Retry-After": "0"}))
    with pytest.raises(Unavailable, match="busy"):
        await scene.connection.request("GET", "/x")
    assert scene.seen == [("GET", "TooManyRequests")]


async def test_a_refusal_has_the_servers_words(scene: Scene) -> None:
    status = {"kind": "Status", "reason": "Forbidden", "message": "exceeded quota: gpus"}
    scene.server.answers.append(web.json_response(status, status=403))
    with pytest.raises(Forbidden, match="exceeded quota: gpus"):
        await scene.connection.request("GET", "/x")


async def test_an_answer_that_does_not_come_may_come_later(scene: Scene) -> None:
    with pytest.raises(Unavailable, match="did not answer"):
        await scene.connection.request("GET", "/x", seconds=0.05)


async def test_an_answer_that_is_no_json_is_not_taken_for_one(scene: Scene) -> None:
    scene.server.answers.append(web.Response(text="<html>"))
    with pytest.raises(Unavailable, match="no JSON"):
        await scene.connection.request("GET", "/x")


async def test_a_token_that_was_replaced_is_read_again(scene: Scene, tmp_path: Path) -> None:
    """Kubernetes replaces a pod's token in its file about every hour."""
    token, authority = tmp_path / "token", tmp_path / "ca.crt"
    token.write_text("first")
    authority.write_text(ssl.DER_cert_to_PEM_cert(b"any"))
    loader = InClusterConfigLoader(
        str(token), str(authority), environ={"KUBERNETES_SERVICE_HOST": "127.0.0.1", "KUBERNETES_SERVICE_PORT": "1"}
    )
    configuration = Configuration()
    loader.load_and_set(configuration)
    loader.host, loader.ssl_ca_cert = scene.address, None  # it sets these again whenever it reads
    configuration.host, configuration.ssl_ca_cert = scene.address, None
    async with Connection(configuration) as connection:
        for expected in ("first", "second"):
            token.write_text(expected)
            loader.token_expires_at = datetime.min  # it reads the file again after a minute  # noqa: DTZ901
            scene.server.answers.append(web.json_response({}))
            await connection.request("GET", "/x")
            assert scene.server.tokens[-1].lower() == f"bearer {expected}"


async def test_where_nobody_listens_it_is_unavailable() -> None:
    async with Connection(Configuration(host="http://127.0.0.1:1")) as connection:
        with pytest.raises(Unavailable, match="did not answer"):
            await connection.request("GET", "/x")


async def test_a_netrc_file_that_names_the_api_server_is_nobodys_business(
    scene: Scene, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """To read one at each request costs more than to send it."""
    netrc = tmp_path / "netrc"
    netrc.write_text("machine 127.0.0.1 login somebody password else\n")
    monkeypatch.setenv("NETRC", str(netrc))
    scene.server.answers.append(web.json_response({}))
    configuration = Configuration(host=scene.address, api_key={"BearerToken": "Bearer ours"})
    async with Connection(configuration) as connection:
        await connection.request("GET", "/x")
    assert scene.server.tokens == ["Bearer ours"]


async def test_the_environment_names_the_proxy_to_the_api_server(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("http_proxy", scene.address)
    monkeypatch.setenv("no_proxy", "")
    scene.server.answers.append(web.json_response({}))
    async with Connection(Configuration(host="http://api.example")) as connection:
        await connection.request("GET", "/x")
    assert len(scene.server.requests) == 1


async def test_the_environment_exempts_an_api_server_from_its_proxy(
    scene: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", "http://127.0.0.1:1")
    monkeypatch.setenv("no_proxy", "127.0.0.1")
    scene.server.answers.append(web.json_response({}))
    async with Connection(Configuration(host=scene.address)) as connection:
        await connection.request("GET", "/x")
    assert len(scene.server.requests) == 1
