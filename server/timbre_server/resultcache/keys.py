"""Under which key is finished speech kept, so that no two requests share one that would sound different?"""

from __future__ import annotations

import hashlib
import hmac
import json
import math
from typing import Final

from timbre_server.domain.text import heard_text
from timbre_server.ports import EngineDescriptor, Likeness, Saying

SCHEMA_VERSION: Final = 1
"""Grows when the layout of stored speech changes, and with every change of what happens to speech behind the engine: the
folding of texts, the stretch, the rounding to 16 bits."""

# Not in ASCII: its escapes make one character of two halves that came apart.
_framed: Final = json.JSONEncoder(separators=(",", ":"), ensure_ascii=False).encode


class ResultKeys:
    """The keys of one engine's speech; parts are framed as JSON, so that no two lists of parts give the same bytes.

    In a key is all that changes the waveform and nothing else: not the format, which is made from the waveform, nor how a
    text was wrapped or its accents composed.  Only a digest of the text is, so that no key tells what was said.
    """

    def __init__(
        self,
        descriptor: EngineDescriptor,
        *,
        speed_tolerance_percent: float = 0.0,
        secret: bytes = b"",
        likeness: Likeness | None = None,
    ) -> None:
        """Speeds share a key if they differ by less than the tolerance, though not each two that do.

        With a ``secret`` nobody without it can tell whether a text that he guesses was said.  Without ``likeness`` no text
        is like another.
        """
        self._likeness = likeness
        self._uses_transcript = descriptor.uses_transcript
        self._step = math.log1p(speed_tolerance_percent / 100)
        self._secret = secret
        of_engine = [
            descriptor.name,
            descriptor.model_id,
            descriptor.revision,
            descriptor.encoder_id,
            descriptor.encoder_config_hash,
            descriptor.speech_config_hash,
            descriptor.sample_rate_hz,
        ]
        self._of_engine = _framed(of_engine).removeprefix("[")

    def __call__(self, saying: Saying) -> str:
        """64 hex digits."""
        return self._key(saying, _hashed(heard_text(saying.text)))

    def alike(self, saying: Saying) -> str:
        """The key of all sayings that differ from this one in nothing but texts that are like its own; empty if none is."""
        if self._likeness is None:
            return ""
        common = self._likeness(heard_text(saying.text), saying.parameters.language)
        return self._key(saying, f"like {_hashed(common)}") if common else ""

    def _key(self, saying: Saying, text: str) -> str:
        voice = saying.voice
        transcript = heard_text(voice.transcript) if self._uses_transcript else ""
        of_voice = [voice.preset, voice.digest, voice.generation, transcript]
        parts = [SCHEMA_VERSION, saying.tenant, of_voice, text, self._parameters(saying)]
        framed = f"{_framed(parts).removesuffix(']')},{self._of_engine}".encode("utf-8", "surrogatepass")
        if self._secret:
            return hmac.digest(self._secret, framed, "sha256").hex()
        return hashlib.sha256(framed).hexdigest()

    def _parameters(self, saying: Saying) -> list[object]:
        parameters = saying.parameters
        return [
            self._speed(parameters.speed),
            parameters.emotion,
            float(parameters.pitch_semitones) + 0.0,  # a shift by -0.0 is none
            parameters.language,
            parameters.instructions,
            parameters.seed,
        ]

    def _speed(self, speed: float) -> float | str:
        """The speed itself, or the number of its bucket; 1 is in the middle of one, and the last speed of a bucket is
        faster than its first by the tolerance."""
        return f"bucket {round(math.log(speed) / self._step)}" if self._step else float(speed)


def _hashed(text: str) -> str:
    return hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
