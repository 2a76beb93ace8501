"""What of Redis can be had while its disk takes no byte?  Everything that is read."""

from __future__ import annotations

import asyncio

import pytest
import redis

from tests.fault_proxy import PASS, REFUSE, FaultProxy
from tests.full_disk import fill_disk, make_room
from tests.redis_server import RedisServer
from tests.server.store.pods import ADA, Pod, a_voice, by_hand, running
from tests.server.store.registries import UNHURRIED, linked, unhurried
from timbre_server.errors import StoreUnavailable
from timbre_server.settings import RedisSettings
from timbre_server.store import follower, whisper
from timbre_server.store.link import RedisLink

KEY = "timbre:1:test"


@pytest.fixture
def full_redis(writing_redis: RedisServer) -> RedisServer:
    """It has a value, and can write no more."""
    with by_hand(writing_redis) as client:
        client.set(KEY, "kept")
        fill_disk(writing_redis.folder, client)
    return writing_redis


async def test_a_pod_that_starts_reads_what_is_there(full_redis: RedisServer) -> None:
    link = RedisLink(unhurried(full_redis))
    try:
        assert await link.start()
        assert await link.read(lambda client: client.get(KEY)) == b"kept"
        with pytest.raises(StoreUnavailable, match="cannot write to its disk"):
            await link.write(lambda client: client.set(KEY, "new"))
    finally:
        await link.close()


async def test_the_breaker_closes_after_an_outage(full_redis: RedisServer) -> None:
    with FaultProxy(full_redis.port) as proxy:
        settings = RedisSettings(url=proxy.url, breaker_failures=1, breaker_probe_seconds=0.01)
        async with linked(settings) as link, asyncio.timeout(20):
            proxy.become(REFUSE)
            with pytest.raises(StoreUnavailable):
                await link.read(lambda client: client.get(KEY))
            assert link.breaker_open
            proxy.become(PASS)
            assert link._probing is not None
            await asyncio.wait({link._probing})
            assert await link.read(lambda client: client.get(KEY)) == b"kept"


async def test_a_channel_that_is_silent_is_not_taken_for_lost(
    writing_redis: RedisServer, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(whisper, "_SILENCE_SECONDS", 0.01)
    pod = Pod(writing_redis, scope)
    gaps: list[None] = []
    heard: asyncio.Queue[str] = asyncio.Queue()
    pod.registry.after_whispers_lost(lambda: gaps.append(None))
    pod.registry.on_whisper("features", heard.put_nowait)
    async with running(pod), pod.patience():
        await pod.registry.whispering()
        with by_hand(writing_redis) as client:
            await asyncio.to_thread(fill_disk, writing_redis.folder, client)
            refused = _refused_pings(client)
            while await asyncio.to_thread(_refused_pings, client) < refused + 5:
                pass
            client.publish(pod.keys.whisper(), "features abc")
        assert await heard.get() == "abc"
    assert len(gaps) == 1  # before the first subscription


async def test_a_pod_tells_that_redis_was_emptied_and_cannot_be_filled(
    writing_redis: RedisServer, scope: str, caplog: pytest.LogCaptureFixture
) -> None:
    pod = Pod(writing_redis, scope, sweep_seconds=3600)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        with by_hand(writing_redis) as client:
            client.flushall()
            fill_disk(writing_redis.folder, client)
            await pod.until(lambda: pod.registry.degraded and pod.registry.healthy)
            assert pod.counted("timbre_registry_degraded") == 1
            assert pod.counted("timbre_redis_refuses_writes") == 1
            assert await pod.store.voice(*ADA) == a_voice()
            make_room(client)
        await pod.until(lambda: not pod.registry.degraded and pod.registry.takes_writes)
    assert pod.counted("timbre_redis_refuses_writes") == 0
    for line in (
        "redis takes no writes (ResponseError: MISCONF",
        "voice store was emptied",
        "redis takes writes again",
    ):
        assert caplog.text.count(line) == 1
    assert caplog.text.count("again yet: the voice store cannot write to its disk") == 1


async def test_a_pod_that_starts_follows_an_empty_log_that_nobody_can_write(
    writing_redis: RedisServer, scope: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(follower, "_READ_TIMEOUT_SECONDS", UNHURRIED["read_timeout_seconds"])
    with by_hand(writing_redis) as client:
        fill_disk(writing_redis.folder, client)
        pod = Pod(writing_redis, scope)
        async with running(pod):
            refused = _refused_beats(client)
            await pod.until(lambda: _refused_beats(client) >= refused + 4)
            assert pod.registry.healthy
            assert not pod.registry.takes_writes
            assert pod.follower.connects == 1
            assert [record.message[:21] for record in caplog.records] == ["redis takes no writes"]
            make_room(client)
            await pod.until(lambda: pod.registry.takes_writes)
            assert pod.follower.connects == 1
            assert await pod.store.add_voice(a_voice(), b"flac") == a_voice()
            await pod.until(lambda: pod.registry._reconciliation._epoch is not None)
            client.flushall()  # from now on there is something to lose
            await pod.until(lambda: pod.registry.degraded)
            await pod.until(lambda: not pod.registry.degraded)
            assert client.hget(pod.keys.voice(*ADA), "reference") == b"flac"


def _refused_beats(client: redis.Redis) -> int:
    counted: dict[str, dict[str, int]] = client.info("commandstats")
    return sum(counted.get(f"cmdstat_{name}", {}).get("rejected_calls", 0) for name in ("eval", "evalsha"))


def _refused_pings(client: redis.Redis) -> int:
    counted: dict[str, dict[str, int]] = client.info("commandstats")
    return counted.get("cmdstat_ping", {}).get("rejected_calls", 0)
