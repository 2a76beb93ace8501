"""Does the follower trust its log only as far as it has read it?"""

from __future__ import annotations

import asyncio
import itertools
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine
from contextlib import asynccontextmanager
from typing import Any

import pytest
import redis.exceptions

from tests.fault_proxy import FaultProxy, slow
from tests.redis_server import RedisServer
from tests.server.store.pods import ADA, Pod, a_voice, by_hand, cut_followers, elsewhere, running
from timbre_server.errors import StoreUnavailable
from timbre_server.ports import VoiceChange
from timbre_server.settings import RedisSettings
from timbre_server.store import follower as follower_module
from timbre_server.store.follower import Follower
from timbre_server.store.heartbeat import Heart
from timbre_server.store.redis_voices import RedisVoiceStore


async def nothing() -> None:
    """Nothing is held, so there is nothing to compare."""


@asynccontextmanager
async def following(pod: Pod, compare: Callable[[], Awaitable[None]] = nothing) -> AsyncIterator[Follower]:
    """A follower alone, over a pod's link."""
    heart = Heart(pod.link, pod.keys, pod=pod.name, clock=time.monotonic)
    follower = Follower(pod.link, pod.keys, heart, compare=compare, clock=time.monotonic)
    await follower.start()
    try:
        async with pod.patience():
            yield follower
    finally:
        await follower.stop()
        await pod.link.close()


async def test_nothing_is_trusted_until_everything_was_compared(redis_server: RedisServer, scope: str) -> None:
    compared = asyncio.Event()
    asked = asyncio.Event()

    async def compare() -> None:
        asked.set()
        await compared.wait()

    async with following(Pod(redis_server, scope), compare) as follower:
        await asked.wait()
        assert not follower.healthy
        compared.set()
        while not follower.healthy:
            await follower.turn()


async def test_a_long_backlog_is_trusted_only_once_all_of_it_was_read(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    known_at_change: set[float] = set()
    changes = 0
    async with following(pod) as follower:
        while not follower.healthy:
            await follower.turn()

        def note(entry: object) -> None:
            nonlocal changes
            if isinstance(entry, VoiceChange):
                changes += 1
                known_at_change.add(follower.known_up_to)

        follower.on_entry(note)

        async def write(store: RedisVoiceStore) -> None:
            await store.add_voice(a_voice(), b"flac")
            for number in range(600):
                await store.replace_voice(a_voice(digest=f"digest-{number}"), b"flac")

        with by_hand(redis_server) as client:
            cut_followers(client)
        elsewhere(redis_server, scope, write)
        cut_at = time.monotonic()
        while changes < 601 or not follower.healthy:
            await follower.turn()
        assert follower.known_up_to > cut_at
    assert len(known_at_change) == 1
    assert known_at_change.pop() < cut_at


async def test_a_suspicion_is_answered_by_comparing_again(redis_server: RedisServer, scope: str) -> None:
    compared = 0

    async def compare() -> None:
        nonlocal compared
        compared += 1

    async with following(Pod(redis_server, scope), compare) as follower:
        while not follower.healthy:
            await follower.turn()
        follower.suspect("the test says so")
        assert not follower.healthy
        while not follower.healthy:
            await follower.turn()
    assert compared == 2


async def test_what_was_compared_amid_a_suspicion_is_not_trusted_for_a_moment(
    redis_server: RedisServer, scope: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    trusted: list[bool] = []
    suspicious = False

    async def compare() -> None:
        if suspicious:
            follower.suspect("it went on while everything was compared")

    async def closing(connection: Coroutine[Any, Any, None]) -> None:
        trusted.append(follower.healthy)
        await connection

    monkeypatch.setattr(follower_module, "finish", closing)
    async with following(Pod(redis_server, scope), compare) as follower:
        while not follower.healthy:
            await follower.turn()
        suspicious = True
        follower.suspect("the test says so")
        while len(trusted) < 3:
            await follower.turn()
    assert not any(trusted)


async def test_a_gap_is_told_once_however_often_the_pod_has_to_try(
    redis_server: RedisServer, scope: str, caplog: pytest.LogCaptureFixture
) -> None:
    away = True

    async def compare() -> None:
        if away:
            raise StoreUnavailable("away")

    async def tries(follower: Follower) -> None:
        reached = follower.connects + 4
        while follower.connects < reached:
            await follower.turn()

    pod = Pod(redis_server, scope)
    async with following(pod, compare) as follower:
        with by_hand(redis_server) as client:
            await tries(follower)
            client.delete(pod.keys.changes())
            await tries(follower)
            assert "gap" not in caplog.text  # it never followed the log
            away = False
            while not follower.healthy:
                await follower.turn()
            away = True
            client.delete(pod.keys.changes())
            cut_followers(client)
            await tries(follower)
    assert caplog.text.count("has a gap") == 1


async def test_what_redis_refuses_is_tried_ever_less_often_and_told_in_its_words(
    redis_server: RedisServer, scope: str, caplog: pytest.LogCaptureFixture
) -> None:
    tries: list[float] = []

    async def compare() -> None:
        tries.append(time.monotonic())
        raise redis.exceptions.NoPermissionError("no right to read")

    async with following(Pod(redis_server, scope), compare) as follower:
        while len(tries) < 4:
            await follower.turn()
    pauses = [later - earlier for earlier, later in itertools.pairwise(tries)]
    assert all(pause >= least for pause, least in zip(pauses, (0.2, 0.4, 0.8), strict=True))
    assert caplog.text.count("NoPermissionError: no right to read") == 1


async def test_an_answer_proves_nothing_of_the_time_that_it_took(redis_server: RedisServer, scope: str) -> None:
    delay_seconds = 0.2
    with FaultProxy(redis_server.port) as proxy:
        proxy.become(slow(delay_seconds))
        async with following(Pod(RedisSettings(url=proxy.url), scope)) as follower:
            while follower.known_up_to < 0:
                await follower.turn()
            assert time.monotonic() - follower.known_up_to >= delay_seconds


async def test_a_reading_connection_that_leads_elsewhere_is_noticed(
    redis_server: RedisServer, own_redis: RedisServer, scope: str
) -> None:
    """Beats go to one server, reads to another that answers as well: an old master that nobody writes to."""
    pod, elsewhere_pod = Pod(redis_server, scope), Pod(own_redis, scope)
    heart = Heart(pod.link, pod.keys, pod="pod-1", clock=time.monotonic)
    follower = Follower(elsewhere_pod.link, pod.keys, heart, compare=nothing, clock=time.monotonic)
    suspected: list[str] = []
    follower.on_beat(lambda _: None if follower.healthy else suspected.append("unhealthy"))
    await follower.start()
    try:
        async with pod.patience():
            while follower.connects < 3:
                await follower.turn()
    finally:
        await follower.stop()
        await pod.link.close()
        await elsewhere_pod.link.close()
    assert suspected


async def test_a_pod_is_healthy_again_soon_after_its_connection_was_cut(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    async with running(pod):
        await pod.store.add_voice(a_voice(), b"flac")
        connects = pod.follower.connects
        with by_hand(redis_server) as client:
            cut_followers(client)
        cut_at = time.monotonic()
        await pod.until(lambda: pod.follower.connects > connects and pod.registry.healthy)
        assert time.monotonic() - cut_at < 1.0
        assert await pod.store.voice(*ADA) == a_voice()
