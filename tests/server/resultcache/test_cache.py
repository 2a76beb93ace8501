"""One pod: what was said is not made again, and what is being made is made once."""

import asyncio

import numpy as np
import pytest

from tests.server.resultcache.stage import (
    SECONDS_PER_PIECE,
    TTL_SECONDS,
    a_pod,
    heard,
    piece_of,
    speech_of,
)
from tests.virtual_time import in_virtual_time
from timbre_server.audio.quantisation import to_int16, to_little_endian
from timbre_server.audio.raw_encoder import to_wav
from timbre_server.domain.speech import AudioFormat
from timbre_server.errors import EngineError
from timbre_server.ports import CacheWish

PCM = to_little_endian(to_int16(speech_of("Hello.")))


@in_virtual_time
async def test_what_was_said_is_heard_again_and_not_made_again() -> None:
    pod = a_pod()
    first, second = await pod.ask(), await pod.ask()
    assert (first.outcome, second.outcome) == ("miss", "hit")
    assert np.array_equal(first.samples, second.samples)
    assert np.array_equal(first.samples, speech_of("Hello."))
    assert first.id == second.id != ""
    assert pod.engine.begun == ["Hello."]
    assert pod.engine.closed == 1


@in_virtual_time
async def test_other_words_are_other_speech() -> None:
    pod = a_pod()
    one, other = await pod.ask("One."), await pod.ask("Two.")
    assert (one.outcome, other.outcome) == ("miss", "miss")
    assert one.id != other.id
    assert not np.array_equal(one.samples, other.samples)


@in_virtual_time
async def test_a_hit_says_how_old_it_is_and_a_miss_does_not() -> None:
    pod = a_pod()
    first = await pod.ask()
    await asyncio.sleep(10)
    second = await pod.ask()
    assert first.age_seconds is None
    assert second.age_seconds == pytest.approx(10 + 2 * SECONDS_PER_PIECE, abs=0.01)


@in_virtual_time
async def test_what_is_older_than_its_time_is_made_again() -> None:
    pod = a_pod()
    await pod.ask()
    await asyncio.sleep(TTL_SECONDS)
    assert (await pod.ask()).outcome == "miss"


@in_virtual_time
async def test_what_nobody_asks_for_is_swept_once_its_time_is_up() -> None:
    pod = a_pod()
    pod.cache.start()
    await pod.ask()
    await asyncio.sleep(TTL_SECONDS + 60)
    assert pod.memory.entries == 0
    await pod.cache.close()


class TestWishes:
    """What a request allows."""

    NEW_TAKE = CacheWish(reuse=False)

    @in_virtual_time
    async def test_a_new_take_is_made_and_replaces_the_old_one(self) -> None:
        pod = a_pod()
        old = await pod.ask()
        await asyncio.sleep(1)
        new = await pod.ask(wish=self.NEW_TAKE)
        again = await pod.ask()
        assert (new.outcome, again.outcome) == ("miss", "hit")
        assert again.id == new.id != old.id
        assert len(pod.engine.begun) == 2

    @in_virtual_time
    async def test_new_takes_are_made_for_each_who_wants_one_and_joined_by_nobody(self) -> None:
        pod = a_pod()
        wishes = [self.NEW_TAKE, self.NEW_TAKE, CacheWish()]
        takes = await asyncio.gather(*(pod.ask(wish=wish) for wish in wishes))
        assert [take.outcome for take in takes] == ["miss"] * 3
        assert len({take.id for take in takes}) == 3

    @in_virtual_time
    async def test_only_what_is_kept_is_found(self) -> None:
        pod = a_pod()
        assert await pod.find() is None
        await pod.ask()
        take = await pod.find()
        assert take is not None
        assert take.outcome == "hit"
        assert len(pod.engine.begun) == 1

    @in_virtual_time
    async def test_what_is_being_made_is_not_kept_yet(self) -> None:
        pod = a_pod()
        making = asyncio.create_task(pod.ask())
        await asyncio.sleep(1.5)
        assert await pod.find() is None
        await making

    @in_virtual_time
    async def test_a_new_take_is_found_nowhere(self) -> None:
        pod = a_pod()
        await pod.ask()
        assert await pod.find(wish=self.NEW_TAKE) is None

    @in_virtual_time
    async def test_what_is_too_old_for_a_request_is_made_anew_for_it_and_all_after_it(self) -> None:
        pod = a_pod()
        old = await pod.ask()
        await asyncio.sleep(60)
        assert (await pod.ask(wish=CacheWish(max_age_seconds=100))).outcome == "hit"
        assert pod.at_hand("Hello.", AudioFormat.WAV, CacheWish(max_age_seconds=50)) is None
        assert await pod.find(wish=CacheWish(max_age_seconds=50)) is None
        new = await pod.ask(wish=CacheWish(max_age_seconds=50))
        assert new.outcome == "miss"
        assert (await pod.ask()).id == new.id != old.id


class TestForms:
    """What is at hand in which format."""

    @in_virtual_time
    async def test_wav_and_pcm_are_at_hand_of_whatever_was_said(self) -> None:
        pod = a_pod()
        await pod.ask()
        for audio_format, file in (
            (AudioFormat.WAV, to_wav(speech_of("Hello."), 24_000)),
            (AudioFormat.PCM, PCM),
        ):
            take = pod.at_hand("Hello.", audio_format)
            assert take is not None
            assert b"".join(take.encoded(audio_format) or ()) == file
            assert take.outcome == "hit"
            await take.aclose()

    @in_virtual_time
    async def test_another_format_is_at_hand_once_its_file_was_kept(self) -> None:
        pod = a_pod()
        take = await pod.take()
        assert take.encoded(AudioFormat.MP3) is None
        await heard(take)
        assert pod.at_hand("Hello.", AudioFormat.MP3) is None
        take.keep_encoded(AudioFormat.MP3, b"file", audio_seconds=1.5)
        await take.aclose()
        again = pod.at_hand("Hello.", AudioFormat.MP3)
        assert again is not None
        assert again.id == take.id
        assert again.encoded(AudioFormat.MP3) == (b"file",)
        assert again.encoded(AudioFormat.WAV) is None

    @in_virtual_time
    async def test_a_hit_in_another_format_gives_the_samples_and_its_file_is_kept_for_the_next(self) -> None:
        pod = a_pod()
        await pod.ask()
        take = await pod.take()
        assert np.array_equal((await heard(take)).samples, speech_of("Hello."))
        take.keep_encoded(AudioFormat.OPUS, b"file", audio_seconds=1.5)
        await take.aclose()
        assert pod.at_hand("Hello.", AudioFormat.OPUS) is not None

    @in_virtual_time
    async def test_a_file_of_samples_is_not_kept_beside_the_samples(self) -> None:
        pod = a_pod()
        take = await pod.take()
        await heard(take)
        held = pod.memory.held_bytes
        for audio_format in (AudioFormat.WAV, AudioFormat.PCM):
            take.keep_encoded(audio_format, b"file", audio_seconds=1.5)
        await take.aclose()
        assert pod.memory.held_bytes == held

    @in_virtual_time
    async def test_a_file_of_what_broke_off_is_not_kept(self) -> None:
        pod = a_pod()
        pod.engine.fails_at, pod.engine.failure = 1, EngineError("broke")
        take = await pod.take()
        with pytest.raises(EngineError):
            await heard(take)
        take.keep_encoded(AudioFormat.MP3, b"half", audio_seconds=1.5)
        await take.aclose()
        assert pod.at_hand("Hello.", AudioFormat.MP3) is None

    @in_virtual_time
    async def test_a_new_take_is_not_at_hand(self) -> None:
        pod = a_pod()
        await pod.ask()
        assert pod.at_hand("Hello.", AudioFormat.WAV, CacheWish(reuse=False)) is None


def test_the_pieces_of_these_tests_are_not_alike() -> None:
    assert not np.array_equal(piece_of("Hello.", 0), piece_of("Hello.", 1))
