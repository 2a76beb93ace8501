"""How does an uploaded recording become a reference that the engine can use?"""

from __future__ import annotations

import asyncio
from functools import partial
from typing import Protocol

from timbre_server.audio.decoding import Recording
from timbre_server.audio.speech_checks import check_speech
from timbre_server.domain.voice import Reference


class Decoder(Protocol):
    """Turns untrusted bytes into canonical PCM, outside of this process."""

    async def decode(self, data: bytes, *, param: str) -> Recording:
        """Raises: AudioRejected, with that ``param``."""
        ...


class RecordingIntake:
    """The one door for recordings: whatever passes is decoded, long enough and loud enough to carry a voice."""

    def __init__(self, decoder: Decoder, *, min_voiced_seconds: float) -> None:
        self._decoder = decoder
        self._min_voiced_seconds = min_voiced_seconds

    async def reference(self, data: bytes, *, param: str, transcript: str = "") -> Reference:
        """The recording as a reference.

        Raises:
            AudioRejected: it cannot serve, and the message says why; ``param`` is the field that it came in.
        """
        recording = await self._decoder.decode(data, param=param)
        check = partial(check_speech, min_voiced_seconds=self._min_voiced_seconds, param=param)
        await asyncio.to_thread(check, recording.pcm, recording.voiced_seconds)
        return Reference(recording.pcm, recording.digest, transcript)
