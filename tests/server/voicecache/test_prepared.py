"""A voice that is made ready before anybody speaks with it: it is there, and no hit rate knows of it."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator

import pytest

from tests.redis_server import RedisServer
from tests.server.voicecache.pods import PCM, Fleet, Pod, a_fleet, a_pod
from timbre_server.domain.voice import Reference
from timbre_server.errors import EngineError
from timbre_server.ports import FeatureName


@pytest.fixture
async def fleet(redis_server: RedisServer, scope: str) -> AsyncIterator[Fleet]:
    async with a_fleet(redis_server.url, scope) as fleet:
        yield fleet


async def prepare(pod: Pod, digest: str) -> None:
    async def load() -> Reference:
        return Reference(PCM, digest)

    await pod.cache.prepare(FeatureName(digest), load)
    pod.cache.check_integrity()


@pytest.mark.parametrize("device_entries", [None, 2])
async def test_it_is_no_look_up_and_the_first_one_hits(device_entries: int | None) -> None:
    pod = a_pod(device_entries=device_entries)
    await prepare(pod, "a")
    await prepare(pod, "a")  # again, now that it is there
    assert pod.recorder.looked_up("host") == (0, 0)
    assert math.isnan(pod.recorder.hit_ratio())
    assert pod.recorder.events == {"extracted for enrolment": 1}
    assert await pod.ask("a") == ("host" if device_entries is None else "device")
    assert pod.recorder.hit_ratio() == 1.0


async def test_the_shared_tier_counts_none_and_the_fleet_extracts_once(fleet: Fleet) -> None:
    one, other = fleet.pod(), fleet.pod()
    await prepare(one, "a")
    async with asyncio.timeout(10):
        await fleet.published("a")
    await prepare(other, "a")
    assert await other.ask("a") == "host"
    assert [pod.recorder.looked_up("redis") for pod in (one, other)] == [(0, 0), (0, 0)]
    assert (one.engine.extracted, other.engine.extracted) == (["a"], [])


async def test_nobody_uses_it_yet() -> None:
    pod = a_pod(host_entries=1)
    await prepare(pod, "a")
    pod.cache.forget("a")
    await pod.cache.unused("a")
    assert pod.host.held_bytes == 0


async def test_what_came_with_a_request_before_is_shared_from_then_on(fleet: Fleet) -> None:
    pod = fleet.pod()
    await pod.ask("a", one_off=True)
    looked_up = pod.recorder.looked_up("host")
    await prepare(pod, "a")
    async with asyncio.timeout(10):
        await fleet.published("a")
    assert pod.engine.extracted == ["a"]
    assert pod.recorder.looked_up("host") == looked_up


async def test_speech_that_comes_meanwhile_waits_for_the_same_extraction() -> None:
    pod = a_pod()
    pod.engine.gate.clear()
    preparing = asyncio.create_task(prepare(pod, "a"))
    await pod.engine.started.wait()
    asking = asyncio.create_task(pod.ask("a"))
    await asyncio.sleep(0)
    pod.engine.gate.set()
    await preparing
    assert await asking == "extracted"
    assert pod.engine.extracted == ["a"]
    assert pod.recorder.hit_ratio() == 1.0  # the speech set nothing off
    assert pod.recorder.events == {"extracted for enrolment": 1}


async def test_an_enrolment_that_comes_meanwhile_leaves_the_extraction_to_the_speech() -> None:
    pod = a_pod()
    pod.engine.gate.clear()
    asking = asyncio.create_task(pod.ask("a"))
    await pod.engine.started.wait()
    preparing = asyncio.create_task(prepare(pod, "a"))
    await asyncio.sleep(0)
    pod.engine.gate.set()
    await preparing
    assert await asking == "extracted"
    assert pod.recorder.hit_ratio() == 0.0
    assert pod.recorder.events == {"extracted for speech": 1}


async def test_a_failure_reaches_who_prepares() -> None:
    pod = a_pod()
    pod.engine.failures = [EngineError("broken")]
    with pytest.raises(EngineError):
        await prepare(pod, "a")
    await prepare(pod, "a")
    assert await pod.ask("a") == "host"
