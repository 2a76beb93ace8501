"""The way to Redis: how long anybody waits for it, when nobody asks any more, and how it is found again."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import pytest
import redis
import redis.exceptions

from tests import listeners
from tests.redis_server import RedisServer, free_port
from tests.redis_topologies import RedisClusterServers, RedisSentinelServers, TlsRedisServer, wait_until
from tests.server.store.registries import UNHURRIED, a_voice, linked, unhurried
from timbre_contract.keys import ServiceKeys
from timbre_server.errors import ConfigurationError, StoreUnavailable
from timbre_server.settings import RedisSettings
from timbre_server.store.link import Client, RedisLink
from timbre_server.store.redis_voices import RedisVoiceStore

SOON_SECONDS = 2.0
"""Well above what we promise (60 ms), well below what the library does by itself (4 to 59 s)."""


class SilentServer:
    """Takes connections and says nothing, or hangs up at once."""

    def __init__(self, *, hangs_up: bool = False) -> None:
        self.connections = 0
        self.accepted = asyncio.Event()
        self._hangs_up = hangs_up
        self._writers: list[asyncio.StreamWriter] = []

    @asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Its address."""
        server = await asyncio.start_server(self._serve, "127.0.0.1", 0)
        try:
            yield f"redis://127.0.0.1:{server.sockets[0].getsockname()[1]}"
        finally:
            await listeners.end(server)
            for writer in self._writers:
                writer.close()
            await server.wait_closed()

    def _serve(self, _: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connections += 1
        self.accepted.set()
        self._writers.append(writer)
        if self._hangs_up:
            writer.close()


async def ask(client: Client) -> object:
    return await client.get("timbre:1:test")


async def be_slow(client: Client) -> object:
    """An answer that takes 0.1 s."""
    return await client.blpop("timbre:1:{nobody}:pushes", 0.1)


async def never_answer(client: Client) -> object:
    return await client.blpop("timbre:1:{nobody}:pushes", 60)


async def probed(link: RedisLink) -> None:
    """Returns when a probe has closed the breaker."""
    assert link._probing is not None
    await asyncio.wait_for(asyncio.shield(link._probing), 20)


@pytest.mark.parametrize("call", ["read", "write"])
@pytest.mark.parametrize("fault", ["refuses", "hangs up", "says nothing"])
async def test_an_absent_redis_costs_one_short_wait_and_no_retry(fault: str, call: str) -> None:
    server = SilentServer(hangs_up=fault == "hangs up")
    async with server.listening() as silent:
        url = f"redis://127.0.0.1:{free_port()}" if fault == "refuses" else silent
        settings = RedisSettings(url=url, write_timeout_seconds=0.1)
        link = RedisLink(settings)
        began = asyncio.get_running_loop().time()
        with pytest.raises(StoreUnavailable):
            await getattr(link, call)(ask)
        assert asyncio.get_running_loop().time() - began < SOON_SECONDS
        if fault != "refuses":
            await server.accepted.wait()  # the client may have given up before
        assert server.connections == (fault != "refuses")
        await link.close()


async def test_after_failures_in_a_row_nobody_asks_any_more(own_redis: RedisServer) -> None:
    own_redis.signal(signal.SIGSTOP)
    asked = 0

    async def count(client: Client) -> object:
        nonlocal asked
        asked += 1
        return await ask(client)

    link = RedisLink(RedisSettings(url=own_redis.url, breaker_failures=2))
    for _ in range(5):
        with pytest.raises(StoreUnavailable):
            await link.read(count)
    assert asked == 2
    assert link.breaker_open
    with pytest.raises(StoreUnavailable):
        await link.write(count)
    assert asked == 2
    own_redis.signal(signal.SIGCONT)
    await probed(link)
    assert not link.breaker_open
    assert await link.read(count, patient=True) is None
    await link.close()


async def test_with_an_open_breaker_nobody_waits_for_a_connection_either(own_redis: RedisServer) -> None:
    settings = unhurried(own_redis).model_copy(update={"max_connections": 2, "breaker_failures": 1})
    async with linked(settings) as link:
        waiting = [asyncio.create_task(link.write(never_answer)) for _ in range(2)]
        await asyncio.sleep(0)
        link._breaker.failed()
        with pytest.raises(StoreUnavailable, match="is away"):
            await link.read(ask)
        for task in waiting:
            task.cancel()
        await asyncio.wait(waiting)


async def test_those_who_wait_for_a_connection_when_the_breaker_opens_fail_at_once(own_redis: RedisServer) -> None:
    own_redis.signal(signal.SIGSTOP)
    settings = RedisSettings(url=own_redis.url, max_connections=2, breaker_failures=2, write_timeout_seconds=5.0)
    link = RedisLink(settings)
    asked = 0

    async def count(client: Client) -> object:
        nonlocal asked
        asked += 1
        async with asyncio.timeout(0.05):
            return await ask(client)

    results = await asyncio.gather(*(link.write(count) for _ in range(20)), return_exceptions=True)
    assert all(isinstance(result, StoreUnavailable) for result in results)
    assert asked <= 3  # the first to fail gave its place to a third, before the second failed too
    await link.close()
    own_redis.signal(signal.SIGCONT)


async def test_what_came_while_this_process_slept_is_an_answer(own_redis: RedisServer) -> None:
    settings = RedisSettings(
        url=own_redis.url, connect_timeout_seconds=5, read_timeout_seconds=0.25, breaker_failures=1
    )
    async with linked(settings) as link:
        with redis.Redis.from_url(own_redis.url) as plain:
            asking = asyncio.create_task(link.read(be_slow))
            while (await asyncio.to_thread(plain.info, "clients"))["blocked_clients"] != 1:
                pass
            plain.blpop(["timbre:1:{nobody}:others"], 0.5)  # this loop stands still, until long after its time is up
        assert await asking is None
        assert not link.breaker_open


async def test_a_redis_that_was_killed_and_started_again_is_found(own_redis: RedisServer) -> None:
    async with linked(RedisSettings(url=own_redis.url, breaker_failures=1, breaker_probe_seconds=0.02)) as link:
        await asyncio.gather(*(link.write(lambda client: client.set("timbre:1:test", "x")) for _ in range(5)))
        own_redis.kill()
        with pytest.raises(StoreUnavailable):
            await link.read(ask)
        assert link.breaker_open
        own_redis.start()
        await probed(link)
        # No idle connection of before is left that would fail now.
        assert await asyncio.gather(*(link.read(ask, patient=True) for _ in range(5))) == [None] * 5


async def test_connections_from_before_a_fault_are_not_used_after_it(own_redis: RedisServer) -> None:
    async with linked(RedisSettings(url=own_redis.url, breaker_failures=1, breaker_probe_seconds=0.02)) as link:
        await asyncio.gather(*(link.read(ask, patient=True) for _ in range(5)))
        with redis.Redis.from_url(own_redis.url) as plain:
            us = plain.client_id()
            before = {client["id"] for client in plain.client_list()} - {str(us)}
            own_redis.signal(signal.SIGSTOP)
            with pytest.raises(StoreUnavailable):
                await link.read(ask)
            own_redis.signal(signal.SIGCONT)
            await probed(link)
            await link.read(ask, patient=True)
            await asyncio.to_thread(
                wait_until, lambda: before.isdisjoint(client["id"] for client in plain.client_list()), "some live on"
            )


async def test_a_slow_answer_between_two_that_never_come_does_not_keep_the_breaker_closed(
    own_redis: RedisServer,
) -> None:
    async with linked(RedisSettings(url=own_redis.url, breaker_failures=2)) as link:
        with pytest.raises(StoreUnavailable):
            await link.read(never_answer)
        assert await link.write(be_slow) is None
        assert not link.breaker_open
        with pytest.raises(StoreUnavailable):
            await link.read(never_answer)
        assert link.breaker_open


async def test_a_prompt_answer_between_two_that_never_come_keeps_the_breaker_closed(own_redis: RedisServer) -> None:
    settings = RedisSettings(url=own_redis.url, breaker_failures=2).model_copy(update={"read_timeout_seconds": 0.5})
    async with linked(settings) as link:
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await link.read(never_answer)
            await link.read(ask)
        assert not link.breaker_open


async def test_an_error_about_one_command_is_no_failure_of_redis(own_redis: RedisServer) -> None:
    async with linked(unhurried(own_redis).model_copy(update={"breaker_failures": 1})) as link:
        await link.write(lambda client: client.set("timbre:1:test", "x"))
        with pytest.raises(StoreUnavailable):
            await link.read(lambda client: client.hget("timbre:1:test", "field"))
        assert not link.breaker_open
        assert await link.read(ask) == b"x"


async def test_a_caller_who_leaves_is_no_failure_and_leaves_no_foreign_answer_behind(own_redis: RedisServer) -> None:
    settings = unhurried(own_redis).model_copy(update={"breaker_failures": 1, "max_connections": 2})
    async with linked(settings) as link:
        await link.write(lambda client: client.set("timbre:1:test", "x"))
        for _ in range(5):
            caller = asyncio.create_task(link.read(never_answer))
            await asyncio.wait([caller], timeout=0.01)
            caller.cancel()
            with pytest.raises(asyncio.CancelledError):
                await caller
        assert not link.breaker_open
        assert await asyncio.gather(*(link.read(ask) for _ in range(4))) == [b"x"] * 4


async def test_callers_share_few_connections(own_redis: RedisServer) -> None:
    async with linked(unhurried(own_redis).model_copy(update={"max_connections": 3})) as link:
        answers = await asyncio.gather(*(link.read(ask) for _ in range(200)))
        assert answers == [None] * 200
        with redis.Redis.from_url(own_redis.url) as plain:
            assert len(plain.client_list()) <= 3 + 1  # and this one


async def test_a_wait_for_a_free_connection_is_bounded_and_says_nothing_of_redis(own_redis: RedisServer) -> None:
    settings = RedisSettings(url=own_redis.url, max_connections=2, breaker_failures=1, write_timeout_seconds=60.0)
    async with linked(settings) as link:
        holders = [asyncio.create_task(link.write(never_answer)) for _ in range(2)]
        await asyncio.wait(holders, timeout=0.01)
        with pytest.raises(StoreUnavailable, match="longer than a request may wait"):
            await link.read(ask)
        assert not link.breaker_open
        for holder in holders:
            holder.cancel()
        await asyncio.wait(holders)


async def test_after_one_wait_in_vain_a_request_asks_no_more(own_redis: RedisServer) -> None:
    async with linked(RedisSettings(url=own_redis.url, breaker_failures=9)) as link:
        with link.request_budget():
            with pytest.raises(StoreUnavailable):
                await link.read(never_answer)
            with pytest.raises(StoreUnavailable, match="longer than a request may wait"):
                await link.read(ask)
            assert await link.read(ask, patient=True) is None  # what is in no hurry has its own time
        with link.request_budget() as budget:
            assert budget.left_seconds == link.settings.request_budget_seconds


async def test_all_reads_of_a_request_share_its_budget(own_redis: RedisServer) -> None:
    settings = RedisSettings(url=own_redis.url, breaker_failures=9, request_budget_seconds=1.0)
    async with linked(settings.model_copy(update={"read_timeout_seconds": 10.0})) as link:
        with link.request_budget() as budget:
            await link.read(be_slow)
            assert 0 < budget.left_seconds <= 0.95, "Redis answers after 0.1 s, by its own clock"
            began = asyncio.get_running_loop().time()
            with pytest.raises(StoreUnavailable):
                await link.read(never_answer)
            assert asyncio.get_running_loop().time() - began < SOON_SECONDS


async def test_a_server_starts_without_its_redis_and_says_why(caplog: pytest.LogCaptureFixture) -> None:
    link = RedisLink(RedisSettings(url=f"redis://127.0.0.1:{(port := free_port())}"))
    assert await link.start() is False
    assert f"127.0.0.1:{port}" in caplog.text
    await link.close()


async def test_a_started_link_knows_that_redis_is_there(own_redis: RedisServer) -> None:
    link = RedisLink(unhurried(own_redis))
    assert await link.start() is True
    await link.close()
    await link.close()


async def test_a_changed_password_needs_no_restart(own_redis: RedisServer, tmp_path: Path) -> None:
    file = tmp_path / "password"
    file.write_text("first\n")
    with redis.Redis.from_url(own_redis.url) as plain:
        plain.config_set("requirepass", "first")
        settings = unhurried(own_redis).model_copy(update={"password_file": file, "breaker_failures": 9})
        async with linked(settings) as link:
            assert await link.read(ask) is None
            file.write_text("second\n")
            plain.config_set("requirepass", "second")
            plain.client_kill_filter(_type="normal", skipme=True)
            await asyncio.to_thread(wait_until, lambda: len(plain.client_list()) == 1, "the link's connections stay")
            assert await link.read(ask) is None


@pytest.mark.parametrize("password", ["hunter2", "", None])
async def test_refused_credentials_are_told_without_them(
    own_redis: RedisServer, tmp_path: Path, password: str | None
) -> None:
    file = tmp_path / "password"
    if password is not None:
        file.write_text(password)
    with redis.Redis.from_url(own_redis.url) as plain:
        plain.config_set("requirepass", "right")
        async with linked(unhurried(own_redis).model_copy(update={"password_file": file})) as link:
            with pytest.raises(StoreUnavailable, match="credentials") as refused:
                await link.read(ask)
            assert "hunter2" not in str(refused.value)


async def test_a_server_whose_certificate_comes_from_elsewhere_is_not_trusted(redis_tls: TlsRedisServer) -> None:
    settings = redis_tls.settings.model_copy(update={"tls_ca_file": None, "breaker_failures": 9})
    async with linked(settings) as link:
        with pytest.raises(StoreUnavailable):
            await link.read(ask)


async def test_a_certificate_for_another_name_is_not_trusted(redis_tls: TlsRedisServer) -> None:
    url = f"rediss://127.1:{redis_tls.tls_port}"  # leads to the same place, and is not what the certificate says
    async with linked(redis_tls.settings.model_copy(update={"url": url})) as link:
        with pytest.raises(StoreUnavailable):
            await link.read(ask)


def test_certificates_that_cannot_be_read_stop_the_start(tmp_path: Path) -> None:
    (tmp_path / "ca.pem").write_text("no certificate")
    for name in ("ca.pem", "none.pem"):
        with pytest.raises(ConfigurationError, match="TLS_CA_FILE"):
            RedisLink(RedisSettings(url="rediss://localhost", tls_ca_file=tmp_path / name))


async def test_a_replica_s_refusal_of_writes_is_told(redis_sentinel: RedisSentinelServers, scope: str) -> None:
    async with linked(unhurried(redis_sentinel.replica)) as link:
        with pytest.raises(StoreUnavailable, match="read-only replica"):
            await RedisVoiceStore(link, ServiceKeys(scope)).add_voice(a_voice(), b"1")
        assert not link.breaker_open


async def test_a_failover_is_followed_and_loses_nothing_that_the_replica_had(scope: str) -> None:
    servers = RedisSentinelServers()
    try:
        settings = servers.settings.model_copy(
            update={**UNHURRIED, "wait_replicas": 1, "breaker_failures": 1, "breaker_probe_seconds": 0.02}
        )
        async with linked(settings) as link:
            store = RedisVoiceStore(link, ServiceKeys(scope))
            await store.add_voice(a_voice(), b"1")
            servers.lose_master()
            with pytest.raises(StoreUnavailable):
                await store.voice("default", "voice_1")
            await asyncio.to_thread(wait_until, lambda: servers.master_port() == servers.replica.port, "no failover")
            await probed(link)
            assert await store.voice("default", "voice_1") == a_voice()
            dedicated = link.dedicated(read_timeout_seconds=10.0)
            assert (await dedicated.info("server"))["tcp_port"] == servers.replica.port
            await dedicated.aclose()
    finally:
        servers.close()


async def test_a_dedicated_client_leads_to_the_node_that_has_its_key(redis_cluster: RedisClusterServers) -> None:
    async with linked(redis_cluster.settings.model_copy(update=UNHURRIED)) as link:
        ports = set()
        for number in range(12):
            key = ServiceKeys(f"scope{number}").changes()
            client = link.dedicated(read_timeout_seconds=10.0, key=key)
            assert await client.exists(key) == 0  # a wrong node would say MOVED
            ports.add((await client.info("server"))["tcp_port"])
            await client.aclose()
        assert ports == {node.port for node, _ in redis_cluster.nodes}


async def test_a_dedicated_client_gives_up_in_its_own_time_with_the_library_s_error(own_redis: RedisServer) -> None:
    async with linked(unhurried(own_redis)) as link:
        client = link.dedicated(read_timeout_seconds=0.05)
        with pytest.raises(redis.exceptions.TimeoutError):
            await client.blpop("timbre:1:nobody", 60)
        assert await client.ping()
        await client.aclose()
        assert not link.breaker_open
