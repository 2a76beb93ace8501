"""Speech of a text that says the same words is heard where somebody chose that, says so, and goes with its voice."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from tests.server.resultcache.sayings import DESCRIPTOR, VOICE, saying
from tests.server.resultcache.shared_memory import World
from tests.server.resultcache.stage import NOW, TTL_SECONDS, Pod, a_pod, speech_of
from tests.server.resultcache.test_keys import PARAMETER_CHANGES, VOICE_CHANGES
from tests.virtual_time import in_virtual_time
from timbre_server.domain.speech import AudioFormat
from timbre_server.ports import CacheWish, ResultName
from timbre_server.resultcache.codec import (
    CorruptResult,
    decode,
    decode_signpost,
    encode,
    encode_signpost,
    encode_too_long,
)
from timbre_server.resultcache.english import EnglishWords
from timbre_server.resultcache.keys import ResultKeys
from timbre_server.resultcache.sealing import Sealer
from timbre_server.resultcache.takes import KeptTake, Label, TooLong, wav_from

KEYS = ResultKeys(DESCRIPTOR, likeness=EnglishWords(("en",)))
SAID, LIKE_IT, LIKE_BOTH = "I have 3 apples.", "i have three apples!", "I have, three apples."
TAKE = Label("ab" * 8, NOW, 24_000)


def similar_pods(world: World | None = None, count: int = 2, **options: Any) -> list[Pod]:
    return [a_pod(world, similar_text=True, **options) for _ in range(count)]


async def shared(world: World, blobs: int) -> None:
    await world.until(lambda: len(world.blobs) == blobs and not world.leases)


class TestKeys:
    """Under what."""

    def test_a_text_that_says_the_same_words_is_alike_and_has_another_key(self) -> None:
        one, other = saying(SAID), saying(LIKE_IT)
        assert KEYS.alike(one) == KEYS.alike(other)
        assert len({KEYS(one), KEYS(other), KEYS.alike(one)}) == 3

    def test_the_exact_key_is_that_of_a_cache_that_looks_for_no_similar_text(self) -> None:
        assert KEYS(saying(SAID)) == ResultKeys(DESCRIPTOR)(saying(SAID))

    @pytest.mark.parametrize("change", [*VOICE_CHANGES, {"tenant": "acme"}, *PARAMETER_CHANGES], ids=str)
    def test_nothing_but_the_text_may_differ(self, change: dict[str, Any]) -> None:
        if "tenant" in change or change in PARAMETER_CHANGES:
            changed = saying(LIKE_IT, **change)
        else:
            changed = saying(LIKE_IT, voice=replace(VOICE, **change))
        assert KEYS.alike(changed) != KEYS.alike(saying(SAID))

    def test_another_engine_is_like_none(self) -> None:
        other = ResultKeys(replace(DESCRIPTOR, revision="2"), likeness=EnglishWords(("en",)))
        assert other.alike(saying(SAID)) != KEYS.alike(saying(SAID))

    def test_without_the_choice_no_text_is_like_another(self) -> None:
        assert ResultKeys(DESCRIPTOR).alike(saying(SAID)) == ""
        assert KEYS.alike(saying(SAID, language="de")) == ""

    def test_with_a_secret_nobody_else_can_make_it(self) -> None:
        sealed = ResultKeys(DESCRIPTOR, likeness=EnglishWords(("en",)), secret=b"one")
        assert sealed.alike(saying(SAID)) != KEYS.alike(saying(SAID))


class TestSignposts:
    """As bytes."""

    def test_it_leads_to_the_other_key(self) -> None:
        assert decode_signpost(encode_signpost("a" * 64, "b" * 64), key="a" * 64) == "b" * 64

    def test_it_is_no_speech_and_speech_is_none(self) -> None:
        with pytest.raises(CorruptResult):
            decode(encode_signpost("a" * 64, "b" * 64), key="a" * 64)
        speech = KeptTake(TAKE, wav_from([np.zeros(100, np.int16)], TAKE.sample_rate_hz))
        for other in (encode("a" * 64, speech), encode_too_long("a" * 64, TooLong(64 << 10))):
            with pytest.raises(CorruptResult):
                decode_signpost(other, key="a" * 64)

    def test_it_leads_to_a_whole_key_or_nowhere(self) -> None:
        with pytest.raises(CorruptResult):
            decode_signpost(encode_signpost("a" * 64, "b" * 32), key="a" * 64)

    @pytest.mark.parametrize(
        "damage", [lambda blob: blob[:-1], lambda blob: blob[:-1] + b"\0", lambda blob: blob + b"x"]
    )
    def test_a_damaged_one_leads_nowhere(self, damage: Any) -> None:
        with pytest.raises(CorruptResult):
            decode_signpost(damage(encode_signpost("a" * 64, "b" * 64)), key="a" * 64)


@in_virtual_time
async def test_what_says_the_same_is_heard_and_labelled() -> None:
    [pod] = similar_pods(count=1)
    first = await pod.ask(SAID)
    await asyncio.sleep(5)
    second = await pod.ask(LIKE_IT)
    assert (first.outcome, second.outcome) == ("miss", "similar")
    assert second.id == first.id
    assert second.age_seconds is not None
    assert np.array_equal(second.samples, speech_of(SAID))
    assert pod.engine.begun == [SAID]


@in_virtual_time
async def test_unless_somebody_chose_it_nothing_is_similar() -> None:
    pod = a_pod()
    assert [(await pod.ask(text)).outcome for text in (SAID, LIKE_IT)] == ["miss", "miss"]


@in_virtual_time
async def test_the_very_text_goes_first() -> None:
    world = World()
    one, other = similar_pods(world)
    await one.ask(SAID)
    await shared(world, 2)
    exact = await a_pod(world).ask(LIKE_IT)  # a pod that looks for no similar text makes and shares it
    await shared(world, 3)
    found = await other.ask(LIKE_IT)
    assert (found.outcome, found.id) == ("hit", exact.id)


@in_virtual_time
async def test_it_is_never_taken_for_what_is_at_hand() -> None:
    [pod] = similar_pods(count=1)
    await pod.ask(SAID)
    assert pod.at_hand(LIKE_IT, AudioFormat.WAV) is None


@in_virtual_time
async def test_other_pods_find_it_too_and_keep_it() -> None:
    world = World()
    one, other = similar_pods(world)
    said = await one.ask(SAID)
    await shared(world, 2)
    world.calls.clear()
    found = await other.ask(LIKE_IT)
    assert (found.outcome, found.id) == ("similar", said.id)
    assert (await other.ask(SAID)).outcome == "hit"
    assert world.calls == ["get"] * 3  # its own key, the signpost, the speech


@pytest.mark.parametrize("wish", [CacheWish(reuse=False), CacheWish(max_age_seconds=1)], ids=["no-cache", "max-age"])
@in_virtual_time
async def test_what_a_request_does_not_want_is_not_heard_of_another_text_either(wish: CacheWish) -> None:
    world = World()
    one, other = similar_pods(world)
    await one.ask(SAID)
    await asyncio.sleep(5)
    assert (await one.ask(LIKE_IT, wish)).outcome == "miss"
    assert (await other.ask("I have 3 apples!", wish)).outcome == "miss"


@in_virtual_time
async def test_an_erasure_reaches_the_signposts() -> None:
    world = World()
    one, other = similar_pods(world)
    await one.ask(SAID)
    await shared(world, 2)
    await other.ask(LIKE_IT)
    assert await one.cache.erase(VOICE.digest) == 2
    other.cache.forget(VOICE.digest)
    assert world.blobs == {}
    assert (await other.ask(LIKE_IT)).outcome == "miss"
    other.cache.check_integrity()


@in_virtual_time
async def test_what_is_said_of_an_erased_voice_leaves_no_signpost() -> None:
    world = World()
    [pod] = similar_pods(world, count=1)
    asking = asyncio.create_task(pod.ask(SAID))
    await asyncio.sleep(1.5)
    await pod.cache.erase(VOICE.digest)
    await asking
    await pod.cache.close()
    assert world.blobs == {}


@in_virtual_time
async def test_a_signpost_to_what_has_gone_is_a_miss() -> None:
    world = World()
    one, other = similar_pods(world)
    await one.ask(SAID)
    await shared(world, 2)
    del world.blobs[ResultName(KEYS(saying(SAID)), VOICE.digest)]
    assert (await other.ask(LIKE_IT)).outcome == "miss"


@in_virtual_time
async def test_a_signpost_to_the_very_text_is_not_followed_again() -> None:
    world = World()
    one, other = similar_pods(world)
    await one.ask(SAID)
    await shared(world, 2)
    del world.blobs[ResultName(KEYS(saying(SAID)), VOICE.digest)]
    world.calls.clear()
    assert (await other.ask(SAID)).outcome == "miss"
    assert world.calls[:3] == ["get", "get", "claim"]  # its own key, the signpost, and then it is made


@in_virtual_time
async def test_a_damaged_signpost_is_a_miss() -> None:
    world = World()
    one, other = similar_pods(world)
    await one.ask(SAID)
    await shared(world, 2)
    world.blobs[ResultName(KEYS.alike(saying(SAID)), VOICE.digest)] = b"damaged"
    assert (await other.ask(LIKE_IT)).outcome == "miss"


@in_virtual_time
async def test_what_another_pod_said_is_heard_from_memory_for_the_next_text_like_it() -> None:
    world = World()
    one, other = similar_pods(world)
    await one.ask(SAID)
    await shared(world, 2)
    await other.ask(LIKE_IT)
    world.away = True
    assert (await other.ask(LIKE_BOTH)).outcome == "similar"


@in_virtual_time
async def test_a_pod_that_has_but_a_file_of_the_very_text_asks_the_others_for_one_like_it() -> None:
    world = World()
    one, other = similar_pods(world)
    said = await one.ask(SAID)
    await shared(world, 2)
    other.memory.put_encoded(other.cache.name(saying(LIKE_IT)), TAKE, AudioFormat.MP3, b"file", audio_seconds=1.0)
    found = await other.ask(LIKE_IT)
    assert (found.outcome, found.id) == ("similar", said.id)


@in_virtual_time
async def test_when_one_of_two_texts_goes_from_memory_the_other_is_still_found() -> None:
    [pod] = similar_pods(count=1)
    await pod.ask(SAID)
    second = await pod.ask(LIKE_IT, CacheWish(reuse=False))
    pod.memory.drop(KEYS(saying(SAID)))
    found = await pod.ask(LIKE_BOTH)
    assert (found.outcome, found.id) == ("similar", second.id)


@in_virtual_time
async def test_in_memory_nothing_is_similar_to_what_has_ended() -> None:
    [pod] = similar_pods(count=1)
    await pod.ask(SAID)
    await asyncio.sleep(TTL_SECONDS)
    assert (await pod.ask(LIKE_IT)).outcome == "miss"
    pod.cache.check_integrity()


@in_virtual_time
async def test_while_the_place_that_pods_share_is_away_the_own_memory_still_knows() -> None:
    world = World()
    [pod] = similar_pods(world, count=1)
    await pod.ask(SAID)
    await shared(world, 2)
    world.away = True
    assert (await pod.ask(LIKE_IT)).outcome == "similar"
    assert (await pod.ask("Other words.")).outcome == "miss"


@in_virtual_time
async def test_signposts_are_sealed_as_speech_is() -> None:
    world = World()
    sealer = Sealer(bytes(32))
    one, other = similar_pods(world, sealer=sealer)
    await one.ask(SAID)
    await shared(world, 2)
    assert not any(bytes.fromhex(name.key) in blob for name in world.blobs for blob in world.blobs.values())
    assert (await other.ask(LIKE_IT)).outcome == "similar"
