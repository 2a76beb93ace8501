"""Speech as bytes of the asked format, as it comes or as a whole; whatever takes a while is encoded in a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from contextlib import aclosing
from functools import partial
from typing import Final

import numpy as np

from timbre_server.audio.encoding import Encoder, encode, open_encoder
from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import AudioFormat
from timbre_server.domain.voice import CANONICAL_SAMPLE_RATE_HZ
from timbre_server.service.speech import Speech

ON_LOOP_SAMPLES: Final = 96_000
"""4 s at 24 kHz, which are rounded to 16 bits in 0.05 ms: a fifth of the way to a thread and back."""


class EncodedSpeech:
    """One speech in one format; ``chunks`` or ``whole`` is called once."""

    def __init__(self, speech: Speech, audio_format: AudioFormat, executor: Executor) -> None:
        self.audio_seconds = 0.0
        """Playing time of what has been encoded so far."""
        self.encode_seconds = 0.0
        """Time spent on encoding so far, in seconds."""
        self._speech = speech
        self._format = audio_format
        self._executor = executor
        # WAV keeps the engine's rate, and so does PCM where that is OpenAI's 24 kHz.
        self._only_rounds = audio_format is AudioFormat.WAV or (
            audio_format is AudioFormat.PCM and speech.sample_rate_hz == CANONICAL_SAMPLE_RATE_HZ
        )

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The file piece by piece, none of them empty, each as soon as its speech is there.

        Raises:
            EngineError, EncodingError: the rest cannot be had.
        """
        encoder: Encoder | None = None

        def write(piece: Samples) -> bytes:  # opens the encoder on the way: one hop to the thread less
            nonlocal encoder
            encoder = encoder or open_encoder(self._format, self._speech.sample_rate_hz)
            return encoder.write(piece)

        async with aclosing(self._speech.samples()) as pieces:
            async for piece in pieces:
                chunk = await self._encoding(partial(write, piece), piece.size)
                self._count(piece)
                if chunk:
                    yield chunk
        if encoder is not None and (rest := await self._encoding(encoder.finish, 0)):
            yield rest

    async def whole(self) -> bytes:
        """The file at once, with true lengths in its header.

        Raises:
            EngineError, EncodingError: it cannot be had.
        """
        pieces: list[Samples] = []
        async with aclosing(self._speech.samples()) as arriving:
            async for piece in arriving:
                self._count(piece)
                pieces.append(piece)
        rate, count = self._speech.sample_rate_hz, sum(piece.size for piece in pieces)
        samples = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return await self._encoding(lambda: encode(samples, rate, self._format), count)

    def _count(self, piece: Samples) -> None:
        self.audio_seconds += piece.size / self._speech.sample_rate_hz

    async def _encoding(self, call: Callable[[], bytes], sample_count: int) -> bytes:
        """Calls an encoder for so many samples, in a thread unless that costs more than the call."""
        began = time.perf_counter()
        try:
            if self._only_rounds and sample_count <= ON_LOOP_SAMPLES:
                return call()
            return await asyncio.get_running_loop().run_in_executor(self._executor, call)
        finally:
            self.encode_seconds += time.perf_counter() - began
