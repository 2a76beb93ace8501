"""Speech as bytes of the asked format, as it comes or as a whole; whatever takes a while is encoded in a thread."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Callable, Sequence
from concurrent.futures import Executor
from contextlib import aclosing
from functools import partial
from typing import Final

import numpy as np

from timbre_server.audio.encoding import Encoder, encode, open_encoder
from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import AudioFormat
from timbre_server.domain.voice import CANONICAL_SAMPLE_RATE_HZ
from timbre_server.ports import Blob, Take

ON_LOOP_SAMPLES: Final = 96_000
"""4 s at 24 kHz, which are rounded to 16 bits in 0.05 ms: a fifth of the way to a thread and back."""

CHUNK_BYTES: Final = 32 << 10
"""Of a file at hand that goes out in pieces: 4 s of MP3, and 43 KiB as an event."""


class EncodedSpeech:
    """One take in one format; ``chunks`` or ``whole`` is called once.

    What had to be encoded is given back to the take when it is whole, for others who ask for it in this format.
    """

    def __init__(self, take: Take, audio_format: AudioFormat, executor: Executor) -> None:
        self.audio_seconds = 0.0
        """Playing time of what has left so far."""
        self.encode_seconds = 0.0
        """Time spent on encoding so far, in seconds."""
        self._take = take
        self._format = audio_format
        self._executor = executor
        self._at_hand = take.encoded(audio_format)
        # WAV keeps the engine's rate, and so does PCM where that is OpenAI's 24 kHz.
        self._only_rounds = audio_format is AudioFormat.WAV or (
            audio_format is AudioFormat.PCM and take.sample_rate_hz == CANONICAL_SAMPLE_RATE_HZ
        )
        # What only rounds is as quickly made again; and nobody holds five minutes of a stream that leaves no trace.
        self._may_be_kept = take.id != "" and not self._only_rounds

    @property
    def is_at_hand(self) -> bool:
        """Whether nothing has to be encoded."""
        return self._at_hand is not None

    async def chunks(self) -> AsyncGenerator[bytes, None]:
        """The file piece by piece, none of them empty, each as soon as its speech is there.

        Raises:
            EngineError, EncodingError: the rest cannot be had.
        """
        if self._at_hand is not None:
            self.audio_seconds = self._take.audio_seconds or 0.0
            for chunk in _cut(self._at_hand):
                yield chunk
            return
        file: list[bytes] = []
        async with aclosing(self._encoded()) as chunks:
            async for chunk in chunks:
                if self._may_be_kept:
                    file.append(chunk)
                yield chunk
        if self._may_be_kept:
            self._take.keep_encoded(self._format, b"".join(file), audio_seconds=self.audio_seconds)

    async def whole(self) -> Sequence[Blob]:
        """The file at once, in pieces, with true lengths in its header.

        Raises:
            EngineError, EncodingError: it cannot be had.
        """
        if self._at_hand is not None:
            self.audio_seconds = self._take.audio_seconds or 0.0
            return self._at_hand
        pieces: list[Samples] = []
        async with aclosing(self._take.samples()) as arriving:
            async for piece in arriving:
                self._count(piece)
                pieces.append(piece)
        rate, count = self._take.sample_rate_hz, sum(piece.size for piece in pieces)
        samples = pieces[0] if len(pieces) == 1 else np.concatenate(pieces)
        return (await self._encoding(lambda: encode(samples, rate, self._format), count),)

    async def _encoded(self) -> AsyncGenerator[bytes, None]:
        encoder: Encoder | None = None

        def write(piece: Samples) -> bytes:  # opens the encoder on the way: one hop to the thread less
            nonlocal encoder
            encoder = encoder or open_encoder(self._format, self._take.sample_rate_hz)
            return encoder.write(piece)

        async with aclosing(self._take.samples()) as pieces:
            async for piece in pieces:
                chunk = await self._encoding(partial(write, piece), piece.size)
                self._count(piece)
                if chunk:
                    yield chunk
        if encoder is not None and (rest := await self._encoding(encoder.finish, 0)):
            yield rest

    def _count(self, piece: Samples) -> None:
        self.audio_seconds += piece.size / self._take.sample_rate_hz

    async def _encoding(self, call: Callable[[], bytes], sample_count: int) -> bytes:
        """Calls an encoder for so many samples, in a thread unless that costs more than the call."""
        began = time.perf_counter()
        try:
            if self._only_rounds and sample_count <= ON_LOOP_SAMPLES:
                return call()
            return await asyncio.get_running_loop().run_in_executor(self._executor, call)
        finally:
            self.encode_seconds += time.perf_counter() - began


def _cut(file: Sequence[Blob]) -> list[bytes]:
    """The file in chunks of the size in which it may leave."""
    whole = b"".join(file)
    return [whole[begin : begin + CHUNK_BYTES] for begin in range(0, len(whole), CHUNK_BYTES)]
