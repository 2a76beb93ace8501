"""Bytes of a speech: as they come, or as a whole, and where they are encoded."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import aclosing
from typing import Any

import pytest

from tests.server.api.heard import heard
from tests.server.service.parts import built_parts
from timbre_server.api.encoded import EncodedSpeech
from timbre_server.domain.speech import AudioFormat
from timbre_server.engine.stub import SECONDS_PER_CHARACTER, StubEngine
from timbre_server.service.speech import Speech, SpeechRequest

TEXT = "Hello there."
SECONDS = len(TEXT) * SECONDS_PER_CHARACTER


class CountingPool(ThreadPoolExecutor):
    """A pool that counts what it is given."""

    calls = 0

    def submit(self, fn: Callable[..., Any], /, *args: Any, **kwargs: Any) -> Future[Any]:
        self.calls += 1
        return super().submit(fn, *args, **kwargs)


@pytest.fixture
async def speech() -> AsyncIterator[Speech]:
    async with built_parts(StubEngine(sleep=lambda _: None, pieces=4)) as parts:
        request = SpeechRequest(tenant="t", text=TEXT, voice="alloy")
        async with aclosing(await parts.speech.speak(request)) as speaking:
            yield speaking


@pytest.mark.parametrize("audio_format", list(AudioFormat))
async def test_chunks_join_to_a_file_that_plays_the_whole_speech(speech: Speech, audio_format: AudioFormat) -> None:
    with CountingPool(1) as pool:
        encoded = EncodedSpeech(speech, audio_format, pool)
        chunks = [chunk async for chunk in encoded.chunks()]
    assert all(chunks)
    assert heard(b"".join(chunks), audio_format).duration_seconds == pytest.approx(SECONDS, abs=0.1)
    assert encoded.audio_seconds == pytest.approx(SECONDS)
    assert encoded.encode_seconds > 0


async def test_compression_runs_in_a_thread(speech: Speech) -> None:
    with CountingPool(1) as pool:
        [_ async for _ in EncodedSpeech(speech, AudioFormat.MP3, pool).chunks()]
        assert pool.calls == 5  # four pieces and the end


@pytest.mark.parametrize("audio_format", [AudioFormat.PCM, AudioFormat.WAV])
async def test_a_short_rounding_does_not_pay_for_a_thread(speech: Speech, audio_format: AudioFormat) -> None:
    with CountingPool(1) as pool:
        await EncodedSpeech(speech, audio_format, pool).whole()
        assert pool.calls == 0


async def test_a_long_rounding_leaves_the_event_loop() -> None:
    async with built_parts(StubEngine(sleep=lambda _: None)) as parts:
        request = SpeechRequest(tenant="t", text=TEXT * 10, voice="alloy")  # 7.2 s
        async with aclosing(await parts.speech.speak(request)) as speaking:
            with CountingPool(1) as pool:
                await EncodedSpeech(speaking, AudioFormat.WAV, pool).whole()
                assert pool.calls == 1
