"""The API server's certificate gets another authority, and whoever runs goes on."""

from __future__ import annotations

import json
import ssl
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
from aiohttp import web
from aiohttp.test_utils import TestServer
from kubernetes.aio.client import Configuration

from examples.local_redis import free_port
from tests.cluster.certificates import Authority as CertificateAuthority
from timbre_operator.cluster.authority import Authority
from timbre_operator.cluster.connection import Connection, watch_session
from timbre_operator.errors import Unavailable

HOST = "127.0.0.1"


class Scene:
    """An API server at one address, and the file in which a pod finds its authority."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "ca.crt"
        self.port = free_port()
        self.address = f"https://{HOST}:{self.port}"

    @asynccontextmanager
    async def serving(self, authority: CertificateAuthority) -> AsyncIterator[None]:
        authority.server(HOST).write(self.folder, "server")
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(self.folder / "server.crt", self.folder / "server.key")
        application = web.Application()
        application.router.add_get("/version", _version)
        server = TestServer(application, host=HOST, port=self.port)
        await server.start_server(ssl=context)
        try:
            yield
        finally:
            await server.close()

    def trust(self, *authorities: CertificateAuthority) -> None:
        """As kubelet does it: another file in the place of the old one."""
        fresh = self.folder / ".ca.crt"
        fresh.write_bytes(b"".join(authority.pair.certificate for authority in authorities))
        fresh.rename(self.file)


async def _version(_: web.Request) -> web.Response:
    return web.json_response({"major": "1"})


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_requests_go_on_once_the_new_authority_is_there(scene: Scene) -> None:
    old, new = CertificateAuthority("old"), CertificateAuthority("new")
    scene.trust(old)
    configuration = Configuration(host=scene.address, ssl_ca_cert=str(scene.file))
    async with Connection(configuration) as connection:
        async with scene.serving(old):
            assert await connection.request("GET", "/version")
        async with scene.serving(new):
            with pytest.raises(Unavailable, match="certificate"):
                await connection.request("GET", "/version")
            scene.trust(old, new)
            assert await connection.request("GET", "/version")


async def test_watches_go_on_too(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    old, new = CertificateAuthority("old"), CertificateAuthority("new")
    scene.trust(old)
    kubeconfig = scene.folder / "kubeconfig"
    cluster = {"server": scene.address, "certificate-authority": str(scene.file)}
    configuration = {
        "current-context": "a",
        "contexts": [{"name": "a", "context": {"cluster": "a", "user": "a"}}],
        "clusters": [{"name": "a", "cluster": cluster}],
        "users": [{"name": "a", "user": {"token": "any"}}],
    }
    kubeconfig.write_text(json.dumps(configuration))
    monkeypatch.setattr("kubernetes.aio.config.kube_config.KUBE_CONFIG_DEFAULT_LOCATION", str(kubeconfig))
    address, session = await watch_session()
    async with session:
        scene.trust(old, new)
        async with scene.serving(new), session.get(f"{address}/version") as answer:
            assert answer.ok


def test_half_a_file_changes_nothing_and_is_looked_at_again(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    scene.trust(CertificateAuthority("old"))
    context = ssl.create_default_context(cafile=scene.file)
    authority = Authority(context, str(scene.file))
    scene.file.write_text("half")
    authority.follow()
    assert "cannot be read" in caplog.text
    scene.trust(CertificateAuthority("new"))
    authority.follow()
    assert len(context.get_ca_certs()) == 2
    scene.file.unlink()
    authority.follow()
    assert len(context.get_ca_certs()) == 2
