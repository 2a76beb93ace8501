"""Do pods beat together without beating more, and what do beats tell of Redis' clock?"""

from __future__ import annotations

import asyncio
import itertools
import time

import pytest

from tests.redis_server import RedisServer
from tests.server.store.pods import Pod, by_hand, running
from timbre_server.store.heartbeat import FORGOTTEN_MILLISECONDS, QUIET_MILLISECONDS, Heart, RedisClock


def test_the_quickest_round_trip_tells_the_clock() -> None:
    clock = RedisClock()
    assert not clock.known
    clock.told(1000.5, sent_at=0.0, received_at=1.0)
    clock.told(1002.01, sent_at=2.0, received_at=2.02)  # 1000 s ahead, give or take 10 ms
    clock.told(1004.9, sent_at=3.0, received_at=4.0)
    assert clock.known
    assert clock.at(10.0) == pytest.approx(1010.0)


def test_an_old_round_trip_is_forgotten_however_quick_it_was() -> None:
    clock = RedisClock()
    clock.told(1000.0, sent_at=0.0, received_at=0.0)
    for second in range(1, 100):
        clock.told(2000.05 + second, sent_at=second, received_at=second + 0.1)
    assert clock.at(0.0) == pytest.approx(2000.0)


async def test_five_pods_beat_no_more_often_into_the_log_than_one(redis_server: RedisServer, scope: str) -> None:
    pods = [Pod(redis_server, scope, f"pod-{number}") for number in range(5)]
    began_at = time.monotonic()
    async with running(*pods):
        await pods[0].until(lambda: time.monotonic() - began_at > 1.2)
        with by_hand(redis_server) as client:
            entries = client.xrange(pods[0].keys.changes())
            names = client.zrange(pods[0].keys.pods(), 0, -1)
    assert {fields[b"kind"] for _, fields in entries} == {b"heartbeat"}
    moments = [int(entry_id.split(b"-")[0]) for entry_id, _ in entries]
    assert len(moments) >= 3
    assert all(later - earlier >= QUIET_MILLISECONDS for earlier, later in itertools.pairwise(moments))
    assert len(names) == 5


async def test_a_pod_that_was_silent_for_a_day_is_forgotten(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope, "alive")
    with by_hand(redis_server) as client:
        now = client.time()[0] * 1000
        client.zadd(pod.keys.pods(), {"yesterday": now - FORGOTTEN_MILLISECONDS - 10_000, "just now": now})
        async with running(pod):
            assert client.zrange(pod.keys.pods(), 0, -1) == [b"just now", b"alive"]


async def test_a_beat_tells_epoch_and_the_last_entries(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    heart = Heart(pod.link, pod.keys, pod="pod-1", clock=time.monotonic)
    with by_hand(redis_server) as client:
        first = await heart.beat()
        assert (first.epoch, str(first.before)) == (None, "0-0")
        client.set(pod.keys.epoch(), "a word")
        second = await heart.beat()
        assert (second.epoch, second.before, second.after) == ("a word", first.after, first.after)
        seconds, microseconds = client.time()
    assert heart.redis_clock.at(time.monotonic()) == pytest.approx(seconds + microseconds / 1e6, abs=0.1)
    await pod.link.close()


async def test_a_clock_that_went_back_does_not_silence_the_log(redis_server: RedisServer, scope: str) -> None:
    pod = Pod(redis_server, scope)
    with by_hand(redis_server) as client:
        ahead = client.time()[0] * 1000 + 3_600_000
        client.xadd(pod.keys.changes(), {"kind": "heartbeat"}, id=f"{ahead}-0")
    beat = await Heart(pod.link, pod.keys, pod="pod-1", clock=time.monotonic).beat()
    assert beat.after > beat.before
    await pod.link.close()


async def test_a_full_redis_still_takes_beats(own_redis: RedisServer) -> None:
    pod = Pod(own_redis, "full")
    async with running(pod):
        with by_hand(own_redis) as client:
            client.config_set("maxmemory", 1)
            before = client.xlen(pod.keys.changes())
            await pod.until(lambda: client.xlen(pod.keys.changes()) > before)
        assert pod.registry.healthy
        await asyncio.wait_for(pod.follower.turn(), 5)
