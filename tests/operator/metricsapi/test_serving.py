"""Certificate and trust change while requests are answered, and no connection is lost."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import ssl
from collections.abc import AsyncIterator

import aiohttp
import pytest
from aiohttp import web
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding

from tests.cluster.certificates import Authority
from tests.operator.metricsapi.scenes import HOST, World
from timbre_operator.errors import Unavailable
from timbre_operator.metricsapi import FrontProxy
from timbre_operator.metricsapi.application import Door, build_application
from timbre_operator.metricsapi.serving import TlsListener, serve_metrics_api

ROOT = "/apis/custom.metrics.k8s.io/v1beta2"


async def shown_certificate(url: str) -> bytes:
    """The certificate that a new connection gets, as PEM."""
    _, _, port = url.rpartition(":")
    pem = await asyncio.to_thread(ssl.get_server_certificate, (HOST, int(port)))
    return x509.load_pem_x509_certificate(pem.encode()).public_bytes(Encoding.PEM)


async def test_a_new_certificate_is_shown_to_new_connections_and_old_ones_go_on(world: World) -> None:
    async with world.serving(look_seconds=0.02) as url, world.client(url) as client:
        before = await shown_certificate(url)
        assert (await client.get(ROOT))[0] == 200
        connection = next(iter(client.session.connector._conns.values()))[0][0]  # type: ignore[union-attr]
        renewed = world.renew()
        async with asyncio.timeout(20):
            while await shown_certificate(url) == before:
                pass
        assert await shown_certificate(url) == renewed.certificate
        assert (await client.get(ROOT))[0] == 200
        assert next(iter(client.session.connector._conns.values()))[0][0] is connection  # type: ignore[union-attr]


async def test_no_connection_is_refused_while_certificates_change(world: World) -> None:
    async with world.serving(look_seconds=0.001) as url:
        for _ in range(10):
            world.renew()
            async with world.client(url) as client:
                assert (await client.get(ROOT))[0] == 200


async def test_a_front_proxy_of_a_new_authority_is_let_in_and_the_old_one_no_more(world: World) -> None:
    old = world.front.client("front-proxy")
    async with world.serving(look_seconds=0.02) as url:
        async with world.client(url, old) as client:
            assert (await client.get(ROOT))[0] == 200
        world.front = Authority("another front proxy")
        async with asyncio.timeout(20):
            while not await is_answered(world, url):
                pass
        async with world.client(url, old) as client:
            with pytest.raises(aiohttp.ClientError):  # its certificate is not signed by the new authority
                await client.get(ROOT)


async def is_answered(world: World, url: str) -> bool:
    with contextlib.suppress(aiohttp.ClientError):
        async with world.client(url) as client:
            return (await client.get(ROOT))[0] == 200
    return False


async def test_until_it_is_known_who_speaks_for_the_api_server_nobody_is_let_in(world: World) -> None:
    world.published = False
    async with world.serving(look_seconds=0.02) as url:
        async with world.client(url) as client:
            assert (await client.get(ROOT))[0] == 401
        world.published = True
        async with asyncio.timeout(20):
            while not await is_answered(world, url):
                pass


class Scene:
    """A listener whose looks are taken by hand."""

    def __init__(self, world: World) -> None:
        self.world = world
        self.door = Door()
        self.application = build_application(world.series, self.door)
        self.away = False

    async def request_header(self) -> FrontProxy | None:
        if self.away:
            raise Unavailable("the API server is away")
        return await self.world.request_header()

    @contextlib.asynccontextmanager
    async def listener(self) -> AsyncIterator[tuple[str, TlsListener]]:
        runner = web.AppRunner(self.application)
        await runner.setup()
        assert runner.server is not None
        with socket.create_server((HOST, 0)) as listening:
            listening.setblocking(False)  # noqa: FBT003
            url = f"https://{HOST}:{listening.getsockname()[1]}"
            listener = TlsListener(runner.server, listening, self.world.folder, self.request_header, self.door)
            await listener.look()
            accepting = asyncio.create_task(listener.accept())
            yield url, listener
            accepting.cancel()
            await asyncio.wait({accepting})
        await runner.cleanup()


async def test_a_certificate_that_cannot_be_used_changes_nothing(
    world: World, caplog: pytest.LogCaptureFixture
) -> None:
    async with Scene(world).listener() as (url, listener):
        before = await shown_certificate(url)
        (world.folder / "tls.crt").write_bytes(b"half a certi")
        await listener.look()
        assert await shown_certificate(url) == before
        assert [record.message for record in caplog.records] == ["the certificate of the metrics API cannot be used"]
        renewed = world.renew()
        await listener.look()
        assert {await shown_certificate(url) for _ in range(10)} == {renewed.certificate}


async def test_while_the_api_server_is_away_its_front_proxy_stays_known(world: World) -> None:
    scene = Scene(world)
    async with scene.listener() as (url, listener):
        scene.away = True
        world.renew()
        await listener.look()
        assert await is_answered(world, url)


async def test_who_fails_the_handshake_keeps_nobody_else_out(world: World, caplog: pytest.LogCaptureFixture) -> None:
    async with world.serving() as url:
        silent = [await asyncio.open_connection(HOST, int(url.rpartition(":")[2])) for _ in range(200)]
        plain, sender = silent[0]
        sender.write(b"GET /healthz HTTP/1.1\r\n\r\n")
        await plain.read()
        stranger = Authority("stranger").client("front-proxy")
        async with world.client(url, stranger) as client:
            with pytest.raises(aiohttp.ClientError):
                await client.get(ROOT)
        assert await is_answered(world, url)
        for _, writer in silent:
            writer.close()
    assert caplog.records == []


async def test_a_start_without_a_certificate_fails(world: World) -> None:
    (world.folder / "tls.crt").unlink()
    with pytest.raises(OSError, match="No such file"):
        await world.serving().__aenter__()


async def test_an_address_that_is_taken_fails(world: World) -> None:
    with socket.create_server((HOST, 0)) as taken:
        port = taken.getsockname()[1]
        serving = serve_metrics_api(world.series, world.folder, world.request_header, HOST, port)
        with pytest.raises(OSError, match="in use"):
            await serving.__aenter__()
