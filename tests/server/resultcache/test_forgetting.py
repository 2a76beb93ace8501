"""A voice that was deleted or replaced is not heard again, and it is known who still hears it."""

import asyncio

import numpy as np
import pytest

from tests.server.resultcache.sayings import VOICE, saying
from tests.server.resultcache.shared_memory import World
from tests.server.resultcache.stage import a_pod, heard, speech_of
from tests.virtual_time import in_virtual_time
from timbre_server.domain.speech import AudioFormat
from timbre_server.ports import CacheWish, VoiceIdentity


@in_virtual_time
async def test_what_was_kept_is_gone_in_every_form() -> None:
    pod = a_pod()
    take = await pod.take()
    await heard(take)
    take.keep_encoded(AudioFormat.MP3, b"file", audio_seconds=1.5)
    await take.aclose()
    assert await pod.cache.erase(VOICE.digest) == 0
    assert pod.at_hand("Hello.", AudioFormat.MP3) is None
    assert (await pod.ask()).outcome == "miss"


@in_virtual_time
async def test_another_voice_keeps_its_speech() -> None:
    pod = a_pod()
    other = saying(voice=VoiceIdentity(digest="e" * 64, generation=1))
    preset = saying(voice=VoiceIdentity(preset="alloy"))
    for one in (other, preset):
        await pod.ask(one=one)
    pod.cache.forget(VOICE.digest)
    assert [(await pod.ask(one=one)).outcome for one in (other, preset)] == ["hit", "hit"]


@in_virtual_time
async def test_who_listens_hears_it_to_the_end_and_nothing_of_it_is_kept() -> None:
    pod = a_pod()
    take = await pod.take()
    pod.cache.forget(VOICE.digest)
    assert np.array_equal((await heard(take)).samples, speech_of("Hello."))
    take.keep_encoded(AudioFormat.MP3, b"file", audio_seconds=1.5)
    await take.aclose()
    assert pod.memory.entries == 0
    assert (await pod.ask()).outcome == "miss"


@in_virtual_time
async def test_a_file_of_an_erased_hit_is_not_kept() -> None:
    pod = a_pod()
    await pod.ask()
    take = await pod.take()
    pod.cache.forget(VOICE.digest)
    take.keep_encoded(AudioFormat.MP3, b"file", audio_seconds=1.5)
    await take.aclose()
    assert pod.memory.entries == 0


@pytest.mark.parametrize("before", [[], ["Hello."]], ids=["being made", "kept"])
@in_virtual_time
async def test_it_is_unused_once_all_have_left_who_listened(before: list[str]) -> None:
    pod = a_pod()
    for text in before:
        await pod.ask(text)
    takes = [await pod.take() for _ in range(2)]
    pod.cache.forget(VOICE.digest)
    waiting = asyncio.create_task(pod.cache.unused(VOICE.digest))
    await takes[0].aclose()
    await asyncio.sleep(100)
    assert not waiting.done()
    await takes[1].aclose()
    await asyncio.wait_for(waiting, 1)


@in_virtual_time
async def test_who_comes_after_the_erasure_delays_nobody() -> None:
    pod = a_pod()
    pod.cache.forget(VOICE.digest)
    take = await pod.take()
    await asyncio.wait_for(pod.cache.unused(VOICE.digest), 1)
    await take.aclose()


@in_virtual_time
async def test_a_listener_before_and_one_after_are_told_apart() -> None:
    pod = a_pod()
    await pod.ask()
    before = await pod.take()
    pod.cache.forget(VOICE.digest)
    await pod.ask()
    after = await pod.take()
    waiting = asyncio.create_task(pod.cache.unused(VOICE.digest))
    await before.aclose()
    await asyncio.wait_for(waiting, 1)
    await after.aclose()
    assert pod.cache._audience._present == {}
    assert pod.cache._audience._leaving == {}


@in_virtual_time
async def test_what_a_request_learnt_before_an_erasure_is_spoken_and_not_kept() -> None:
    pod = a_pod()
    learnt = pod.cache.erasures
    pod.cache.forget(VOICE.digest)
    take = await pod.cache.obtain(pod.cache.name(saying()), pod.engine.make("Hello."), CacheWish(), erasures=learnt)
    assert take.id == ""
    await heard(take)
    await take.aclose()
    assert pod.memory.entries == 0


@in_virtual_time
async def test_speech_of_another_recording_than_was_asked_for_is_not_kept() -> None:
    pod = a_pod()
    pod.engine.as_asked = False
    take = await pod.ask()
    assert (take.outcome, take.id) == ("miss", "")
    assert pod.memory.entries == 0


@in_virtual_time
async def test_what_is_erased_before_anybody_was_asked_for_it_is_not_kept() -> None:
    world = World()
    await a_pod(world).ask()
    await world.until(lambda: bool(world.blobs))
    pod = a_pod(world)
    asking = asyncio.create_task(
        pod.cache.obtain(pod.cache.name(saying()), pod.engine.make("Hello."), CacheWish(), erasures=0)
    )
    await asyncio.sleep(0)
    pod.cache.forget(VOICE.digest)
    assert world.calls.count("claim") == 1, "of the other pod"
    take = await asking
    await take.aclose()
    assert pod.memory.entries == 0


@in_virtual_time
async def test_who_was_fetching_when_it_was_erased_keeps_no_file_of_it_and_is_waited_for() -> None:
    world = World()
    await a_pod(world).ask()
    await world.until(lambda: bool(world.blobs))
    pod = a_pod(world)
    world.answers_after_seconds = 1.0
    asking = asyncio.create_task(pod.find())
    await asyncio.sleep(0.5)
    pod.cache.forget(VOICE.digest)
    unused = asyncio.create_task(pod.cache.unused(VOICE.digest))
    take = await asking
    assert take is not None
    take.keep_encoded(AudioFormat.MP3, b"file", audio_seconds=1.5)
    assert pod.memory.entries == 0
    assert not unused.done()
    await take.aclose()
    await unused


@in_virtual_time
async def test_who_found_nothing_is_not_waited_for() -> None:
    world = World()
    pod, other = a_pod(world), a_pod(world)
    assert await pod.find() is None
    await pod.ask()
    assert await pod.find(wish=CacheWish(max_age_seconds=0)) is None
    fetching = asyncio.create_task(other.find())
    await asyncio.sleep(0)
    fetching.cancel()
    await asyncio.wait({fetching})
    for one in (pod, other):
        assert one.cache._audience._present == {}
        assert one.cache._arrivals._expected == set()


@in_virtual_time
async def test_who_has_left_keeps_no_file_any_more() -> None:
    pod = a_pod()
    for _ in range(2):
        take = await pod.take()
        await heard(take)
        await take.aclose()
        take.keep_encoded(AudioFormat.MP3, b"file", audio_seconds=1.5)
        assert pod.at_hand("Hello.", AudioFormat.MP3) is None
