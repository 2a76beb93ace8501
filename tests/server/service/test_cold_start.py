"""Before the engine is loaded: what was said before is answered, and the rest waits, but not for ever."""

from __future__ import annotations

import asyncio

import pytest

from tests.server.resultcache.shared_memory import World
from tests.server.resultcache.stage import a_pod
from tests.virtual_time import in_virtual_time
from timbre_server.errors import NotReady
from timbre_server.ports import Take
from timbre_server.service.cold_start import LOOK_SECONDS, ColdStart
from timbre_server.service.lifecycle import Lifecycle

WAIT_SECONDS = 30.0


async def nothing() -> Take | None:
    return None


def now() -> float:
    return asyncio.get_running_loop().time()


@in_virtual_time
async def test_a_request_waits_for_the_engine_and_no_longer() -> None:
    lifecycle = Lifecycle()
    asyncio.get_running_loop().call_later(5.2, lifecycle.warm, "loading voices")
    assert await ColdStart(lifecycle, wait_seconds=WAIT_SECONDS).outlasted(nothing) is None
    assert now() == pytest.approx(5.2)


@in_virtual_time
async def test_nobody_waits_once_the_engine_is_loaded() -> None:
    lifecycle = Lifecycle()
    lifecycle.warm("loading voices")
    assert await ColdStart(lifecycle, wait_seconds=0.0).outlasted(nothing) is None
    assert now() == 0


@in_virtual_time
async def test_nobody_waits_for_ever_and_is_told_why() -> None:
    with pytest.raises(NotReady, match="the engine is loading"):
        await ColdStart(Lifecycle(), wait_seconds=WAIT_SECONDS).outlasted(nothing)
    assert now() == pytest.approx(WAIT_SECONDS)


@in_virtual_time
async def test_what_another_pod_says_meanwhile_is_heard_here() -> None:
    world = World()
    loading, speaking = a_pod(world), a_pod(world)
    waiting = asyncio.create_task(ColdStart(Lifecycle(), wait_seconds=WAIT_SECONDS).outlasted(loading.find))
    await asyncio.sleep(1)
    said = await speaking.ask()
    take = await waiting
    assert take is not None
    assert (take.id, take.outcome) == (said.id, "hit")
    assert now() <= 1 + 3 + 2 * LOOK_SECONDS
    await take.aclose()
