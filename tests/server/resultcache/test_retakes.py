"""A new take is heard at the other pods too, although what tells them of it may come late or not at all."""

from __future__ import annotations

import asyncio
from contextlib import aclosing

import pytest

from tests.server.resultcache.sayings import DESCRIPTOR, VOICE, saying
from tests.server.resultcache.shared_memory import World
from tests.server.resultcache.stage import Pod, a_pod, heard
from tests.virtual_time import in_virtual_time
from timbre_server.domain.speech import AudioFormat
from timbre_server.ports import CacheWish, ResultName
from timbre_server.resultcache.keys import ResultKeys

NAME = ResultName(ResultKeys(DESCRIPTOR)(saying()), VOICE.digest)
NEW_TAKE = CacheWish(reuse=False)


async def until_new(world: World, before: bytes) -> None:
    await world.until(lambda: world.blobs[NAME] is not before)


async def said(world: World) -> tuple[Pod, Pod]:
    """Two pods, the first of which has said something that both can hear."""
    pods = a_pod(world), a_pod(world)
    await pods[0].ask()
    await world.until(lambda: NAME in world.blobs)
    return pods


@in_virtual_time
async def test_a_take_that_was_replaced_while_it_was_fetched_is_not_kept() -> None:
    world = World()
    one, other = await said(world)
    fetching = asyncio.create_task(other.ask())
    await asyncio.sleep(0)
    other.cache.replaced(NAME.key)
    assert (await fetching).outcome == "hit"
    assert other.memory.entries == 0
    assert one.memory.entries == 1


@in_virtual_time
async def test_a_take_that_was_replaced_while_it_was_waited_for_is_not_kept() -> None:
    world = World()
    one, other = a_pod(world), a_pod(world)
    making = asyncio.create_task(one.ask())
    await asyncio.sleep(0.5)
    waiting = asyncio.create_task(other.ask())
    await asyncio.sleep(1)
    other.cache.replaced(NAME.key)
    await making
    assert (await waiting).outcome == "coalesced"
    assert other.memory.entries == 0


@in_virtual_time
async def test_a_pod_that_may_have_missed_a_new_take_goes_on_with_no_copy() -> None:
    world = World()
    one, other = await said(world)
    await other.ask()
    before = world.blobs[NAME]
    new = await one.ask(wish=NEW_TAKE)
    await until_new(world, before)
    other.cache.replaced_unheard()
    assert (await other.ask()).id == new.id
    other.cache.check_integrity()


@in_virtual_time
async def test_what_was_fetched_before_such_a_gap_ended_is_not_kept() -> None:
    world = World()
    _, other = await said(world)
    fetching = asyncio.create_task(other.ask())
    await asyncio.sleep(0)
    other.cache.replaced_unheard()
    await fetching
    assert other.memory.entries == 0


@pytest.mark.parametrize("gap", [True, False], ids=["perhaps replaced", "replaced"])
@in_virtual_time
async def test_who_asks_after_that_shares_no_look_from_before(*, gap: bool) -> None:
    world = World()
    _, other = await said(world)
    world.answers_after_seconds = 1.0
    before = asyncio.create_task(other.ask())
    await asyncio.sleep(0.5)
    if gap:
        other.cache.replaced_unheard()
    else:
        other.cache.replaced(NAME.key)
    world.calls.clear()
    assert [take.outcome for take in await asyncio.gather(before, other.ask())] == ["hit", "hit"]
    assert world.calls == ["get"]
    assert other.memory.entries == 1


@pytest.mark.parametrize("kept", [True, False], ids=["of kept speech", "of speech that was being made"])
@pytest.mark.parametrize("gap", [True, False], ids=["perhaps replaced", "replaced"])
@in_virtual_time
async def test_a_file_of_a_take_that_was_replaced_while_it_was_encoded_is_not_kept(*, kept: bool, gap: bool) -> None:
    pod = a_pod()
    if kept:
        await pod.ask()
    take = await pod.take()
    async with aclosing(take):
        await heard(take)
        if gap:
            pod.cache.replaced_unheard()
        else:
            pod.cache.replaced(NAME.key)
        take.keep_encoded(AudioFormat.MP3, b"file", audio_seconds=1.5)
    assert pod.at_hand("Hello.", AudioFormat.MP3) is None
    assert pod.memory.entries == 0


@in_virtual_time
async def test_a_file_of_another_take_is_kept_whatever_was_replaced() -> None:
    pod = a_pod()
    await pod.ask()
    async with aclosing(await pod.take()) as take:
        pod.cache.replaced("ab" * 32)
        take.keep_encoded(AudioFormat.MP3, b"file", audio_seconds=1.5)
    found = pod.at_hand("Hello.", AudioFormat.MP3)
    assert found is not None
    await found.aclose()


@in_virtual_time
async def test_who_has_heard_all_is_not_remembered() -> None:
    world = World()
    one, other = await said(world)
    for _ in range(2):
        await other.ask()
    one.engine.refuses = ValueError("nobody")
    with pytest.raises(ValueError, match="nobody"):
        await one.ask("Refused.")
    assert one.cache._arrivals._expected == other.cache._arrivals._expected == set()
