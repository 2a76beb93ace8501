"""As whom, and over which connections, Redis is reached."""

from __future__ import annotations

from pathlib import Path

import pytest
import redis
import redis.exceptions

from tests.redis_server import free_port
from tests.redis_topologies import TlsRedisServer, wait_until
from tests.server.store.registries import UNHURRIED, a_voice, linked
from timbre_contract.keys import ServiceKeys
from timbre_server.errors import StoreUnavailable
from timbre_server.store.clients import FileCredentials
from timbre_server.store.redis_voices import RedisVoiceStore


def test_a_password_comes_from_its_file_each_time_it_is_asked_for(tmp_path: Path) -> None:
    file = tmp_path / "password"
    credentials = FileCredentials("ada", "of the address", file)
    file.write_text("a password\n")
    assert credentials.get_credentials() == ("ada", "a password")
    file.write_text("another")
    assert credentials.get_credentials() == ("ada", "another")


def test_without_a_file_the_address_has_the_password_and_without_a_user_there_is_only_that() -> None:
    assert FileCredentials("ada", "secret", None).get_credentials() == ("ada", "secret")
    assert FileCredentials("", "secret", None).get_credentials() == ("secret",)


@pytest.mark.parametrize("content", [None, b"\xff"])
def test_a_password_file_that_cannot_be_read_is_a_failed_login(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "password"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(redis.exceptions.AuthenticationError):
        FileCredentials("", "", file).get_credentials()


async def test_a_cluster_is_reached_over_tls_and_only_one_that_is_trusted(
    redis_tls: TlsRedisServer, scope: str
) -> None:
    """One node with all slots; ``redis_tls`` is asked for only because it knows whether this binary can do it."""
    assert redis_tls.tls_port
    server = TlsRedisServer("--cluster-enabled", "yes", "--tls-cluster", "yes", "--cluster-port", str(free_port()))
    try:
        tls = server.folder / "tls"
        with redis.Redis(
            port=server.tls_port,
            ssl=True,
            ssl_ca_certs=str(tls / "cert.pem"),
            ssl_certfile=str(tls / "cert.pem"),
            ssl_keyfile=str(tls / "key.pem"),
            username="timbre",
            password=server.password,
        ) as plain:
            plain.execute_command("CLUSTER", "ADDSLOTSRANGE", 0, 16383)
            wait_until(lambda: "cluster_state:ok" in str(plain.execute_command("CLUSTER", "INFO")), "no cluster")
        settings = server.settings.model_copy(update={**UNHURRIED, "mode": "cluster", "url": server.url[:-2]})
        async with linked(settings) as link:
            store = RedisVoiceStore(link, ServiceKeys(scope))
            await store.add_voice(a_voice(), b"1")
            assert await store.voice("default", "voice_1") == a_voice()
            dedicated = link.dedicated(read_timeout_seconds=10.0, key=ServiceKeys(scope).changes())
            assert await dedicated.xlen(ServiceKeys(scope).changes()) == 1
            await dedicated.aclose()
        async with linked(settings.model_copy(update={"tls_ca_file": None})) as link:
            with pytest.raises(StoreUnavailable):
                await RedisVoiceStore(link, ServiceKeys(scope)).voice("default", "voice_1")
    finally:
        server.close()
