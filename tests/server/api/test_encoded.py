"""Bytes of a speech: as they come, or as a whole, and where they are encoded."""

from __future__ import annotations

import sys
from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

import pytest

from tests.server.api.heard import heard
from tests.server.service.parts import Parts, built_parts
from timbre_server.api.encoded import EncodedSpeech
from timbre_server.domain.speech import AudioFormat
from timbre_server.engine.stub import SECONDS_PER_CHARACTER, StubEngine
from timbre_server.ports import CacheWish, Take
from timbre_server.service.speech import SpeechRequest

TEXT = "Hello there."
SECONDS = len(TEXT) * SECONDS_PER_CHARACTER


class CountingPool(ThreadPoolExecutor):
    """A pool that counts what it is given."""

    calls = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls += 1
        return super().submit(fn, *args, **kwargs)


@pytest.fixture
async def speech() -> AsyncIterator[Take]:
    async with built_parts(StubEngine(sleep=lambda _: None, pieces=4)) as parts, aclosing(await taken(parts)) as take:
        yield take


async def taken(parts: Parts, text: str = TEXT) -> Take:
    request = SpeechRequest(tenant="t", text=text, voice="alloy")
    return await (await parts.cached.asked(request, CacheWish())).take()


@pytest.mark.parametrize("audio_format", list(AudioFormat))
async def test_chunks_join_to_a_file_that_plays_the_whole_speech(speech: Take, audio_format: AudioFormat) -> None:
    with CountingPool(1) as pool:
        encoded = EncodedSpeech(speech, audio_format, pool)
        chunks = [chunk async for chunk in encoded.chunks()]
    assert all(chunks)
    assert heard(b"".join(chunks), audio_format).duration_seconds == pytest.approx(SECONDS, abs=0.1)
    assert encoded.audio_seconds == pytest.approx(SECONDS)
    assert encoded.encode_seconds > 0


@pytest.mark.parametrize("audio_format", [AudioFormat.PCM, AudioFormat.FLAC])
async def test_a_stream_that_leaves_no_trace_is_not_gathered(speech: Take, audio_format: AudioFormat) -> None:
    with CountingPool(1) as pool:
        async with aclosing(EncodedSpeech(speech, audio_format, pool).chunks()) as chunks:
            first, held_by_nobody_else = await anext(chunks), bytearray(1)
            await anext(chunks)
            assert sys.getrefcount(first) == sys.getrefcount(held_by_nobody_else)  # 2, and 1 from Python 3.14 on


async def test_compression_runs_in_a_thread(speech: Take) -> None:
    with CountingPool(1) as pool:
        [_ async for _ in EncodedSpeech(speech, AudioFormat.MP3, pool).chunks()]
        assert pool.calls == 5  # four pieces and the end


@pytest.mark.parametrize("audio_format", [AudioFormat.PCM, AudioFormat.WAV])
async def test_a_short_rounding_does_not_pay_for_a_thread(speech: Take, audio_format: AudioFormat) -> None:
    with CountingPool(1) as pool:
        await EncodedSpeech(speech, audio_format, pool).whole()
        assert pool.calls == 0


async def test_a_long_rounding_leaves_the_event_loop() -> None:
    async with (
        built_parts(StubEngine(sleep=lambda _: None)) as parts,
        aclosing(await taken(parts, TEXT * 10)) as speaking,  # 7.2 s
    ):
        with CountingPool(1) as pool:
            await EncodedSpeech(speaking, AudioFormat.WAV, pool).whole()
            assert pool.calls == 1


@pytest.mark.parametrize("audio_format", list(AudioFormat))
async def test_a_hit_is_the_file_that_the_first_listener_got_and_is_not_encoded_again(
    audio_format: AudioFormat,
) -> None:
    async with built_parts(StubEngine(sleep=lambda _: None, pieces=4), keeps_results=True) as parts:
        files, calls = [], []
        for _ in range(2):
            with CountingPool(1) as pool:
                async with aclosing(await taken_as(parts, audio_format)) as take:
                    encoded = EncodedSpeech(take, audio_format, pool)
                    if audio_format is AudioFormat.WAV:
                        files.append(b"".join(await encoded.whole()))
                    else:
                        files.append(b"".join([chunk async for chunk in encoded.chunks()]))
                    assert encoded.audio_seconds == pytest.approx(SECONDS)
                calls.append(pool.calls)
        assert files[0] == files[1]
        assert calls[1] == 0


async def taken_as(parts: Parts, audio_format: AudioFormat) -> Take:
    asked = await parts.cached.asked(SpeechRequest(tenant="t", text=TEXT, voice="alloy"), CacheWish())
    return asked.at_hand(audio_format) or await asked.take()


async def test_a_hit_in_another_format_is_encoded_as_it_leaves() -> None:
    async with built_parts(StubEngine(sleep=lambda _: None, pieces=4), keeps_results=True) as parts:
        async with aclosing(await taken(parts, TEXT * 10)) as take:
            [_ async for _ in take.samples()]
        async with aclosing(await taken(parts, TEXT * 10)) as take:
            with CountingPool(1) as pool:
                chunks = [chunk async for chunk in EncodedSpeech(take, AudioFormat.MP3, pool).chunks()]
                assert pool.calls == 9  # a second of speech each, and the end
    assert heard(b"".join(chunks), AudioFormat.MP3).duration_seconds == pytest.approx(10 * SECONDS, abs=0.1)
