"""What a request may ask of the speech itself: formats and the parameters that change the waveform."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class AudioFormat(StrEnum):
    """The containers that a response can have; the values are OpenAI's words for them."""

    MP3 = "mp3"
    OPUS = "opus"
    AAC = "aac"
    FLAC = "flac"
    WAV = "wav"
    PCM = "pcm"


class StreamFormat(StrEnum):
    """How the audio travels: as bytes, or as server-sent events."""

    AUDIO = "audio"
    SSE = "sse"


NEUTRAL = "neutral"
"""The emotion that changes nothing; every engine knows it."""


@dataclass(frozen=True)
class SpeechParameters:
    """Every wish about the waveform beyond text and voice; equal values give equal audio."""

    speed: float = 1.0
    """Rate of speech, 1 = the engine's own.  Always inside the engine's ``speed_range`` when it gets there."""
    emotion: str = NEUTRAL
    """One of the engine's ``emotions``."""
    pitch_semitones: float = 0.0
    """Shift of the fundamental frequency, in semitones."""
    language: str = ""
    """BCP 47 primary language, lower case; empty = the engine decides from the script of the text."""
    instructions: str = ""
    """Free text on how to speak; engines that cannot follow it ignore it."""
    seed: int = 0
    """Seed of whatever the engine draws."""
