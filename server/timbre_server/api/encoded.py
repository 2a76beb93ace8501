"""Speech as bytes of the asked format: encoded off the event loop, as it comes or as a whole."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable
from concurrent.futures import Executor
from contextlib import aclosing

import numpy as np

from timbre_server.audio.encoding import Encoder, encode, open_encoder
from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import AudioFormat
from timbre_server.service.speech import Speech


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
                chunk = await self._encoding(write, piece)
                self._count(piece)
                if chunk:
                    yield chunk
        if encoder is not None and (rest := await self._encoding(encoder.finish)):
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
        rate = self._speech.sample_rate_hz
        return await self._encoding(lambda: encode(np.concatenate(pieces), rate, self._format))

    def _count(self, piece: Samples) -> None:
        self.audio_seconds += piece.size / self._speech.sample_rate_hz

    async def _encoding(self, call: Callable[..., bytes], *arguments: Samples) -> bytes:
        began = time.perf_counter()
        try:
            return await asyncio.get_running_loop().run_in_executor(self._executor, call, *arguments)
        finally:
            self.encode_seconds += time.perf_counter() - began
