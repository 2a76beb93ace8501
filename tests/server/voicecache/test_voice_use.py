"""The hit rate and the working set are those of the look-ups that were made."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from tests.redis_server import RedisServer
from tests.server.voicecache.pods import ENTRY_BYTES, Fleet, a_fleet, a_pod


@pytest.fixture
async def fleet(redis_server: RedisServer, scope: str) -> AsyncIterator[Fleet]:
    async with a_fleet(redis_server.url, scope) as fleet:
        yield fleet


async def test_the_share_of_look_ups_without_an_extraction_is_told() -> None:
    pod = a_pod()
    for digest in "aab":
        await pod.ask(digest)
    await pod.ask("c", one_off=True)
    assert pod.recorder.hit_ratio() == 1 / 4


async def test_the_share_is_what_the_counters_of_the_fleet_say(fleet: Fleet) -> None:
    pod = fleet.pod()
    pod.engine.gate.clear()
    leaving, *staying = [asyncio.create_task(pod.ask("a")) for _ in range(5)]
    await pod.engine.started.wait()
    leaving.cancel()
    pod.engine.gate.set()
    assert await asyncio.gather(*staying) == ["extracted"] * 4
    for _ in range(3):
        await pod.ask("a")
    hits, misses = pod.recorder.looked_up("host")
    assert hits + misses == 8  # the one that left included
    assert pod.recorder.looked_up("redis") == (0, 1)
    assert pod.recorder.events["extracted for speech"] == 1
    assert pod.recorder.hit_ratio() == 1 - 1 / 7


async def test_the_working_set_is_that_of_voices_that_come_again() -> None:
    pod = a_pod()
    for number in range(200):
        await pod.ask("ab"[number % 2])
        await pod.ask(f"one-off {number}", one_off=True)
    assert 2 * ENTRY_BYTES <= pod.recorder.working_set_bytes() <= 2.1 * ENTRY_BYTES
