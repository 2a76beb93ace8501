"""How is a sentence spoken? Emotions, instructions and seeds as tempo, melody, loudness and brightness.

It is control of prosody, not acting: each emotion is five numbers.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Final

from timbre_server.domain.speech import NEUTRAL, SpeechParameters


@dataclass(frozen=True)
class Prosody:
    """A way of speaking, relative to the voice's own."""

    speed: float = 1.0
    """Factor on the rate of speech."""
    semitones: float = 0.0
    """Shift of the fundamental."""
    range: float = 1.0
    """Factor on the swing of the melody about its middle."""
    gain_db: float = 0.0
    tilt_db_per_octave: float = 0.0
    """Brightness: change of the spectrum's slope about 1 kHz."""


EMOTIONS: Final[Mapping[str, Prosody]] = MappingProxyType(
    {
        NEUTRAL: Prosody(),
        "happy": Prosody(speed=1.08, semitones=2.0, range=1.35, gain_db=1.5, tilt_db_per_octave=1.0),
        "sad": Prosody(speed=0.85, semitones=-2.0, range=0.6, gain_db=-3.0, tilt_db_per_octave=-1.5),
        "angry": Prosody(speed=1.10, semitones=1.0, range=1.25, gain_db=4.0, tilt_db_per_octave=2.0),
        "calm": Prosody(speed=0.92, semitones=-1.0, range=0.7, gain_db=-1.5, tilt_db_per_octave=-0.8),
    }
)
"""The directions are those that K. Scherer, "Vocal communication of emotion" (Speech Communication 40, 2003) reviews;
the sizes keep the speech understood (docs/decisions/0001-embedded-engine.md has the word error rates)."""

KEYWORDS: Final[Mapping[str, str]] = MappingProxyType({
    "happy": "happy", "cheerful": "happy", "joyful": "happy", "excited": "happy", "enthusiastic": "happy",
    "upbeat": "happy", "friendly": "happy",
    "sad": "sad", "sorrowful": "sad", "melancholic": "sad", "melancholy": "sad", "gloomy": "sad", "mournful": "sad",
    "angry": "angry", "furious": "angry", "annoyed": "angry", "irritated": "angry", "aggressive": "angry",
    "calm": "calm", "soothing": "calm", "relaxed": "calm", "gentle": "calm", "peaceful": "calm", "soft": "calm",
    "serene": "calm",
})  # fmt: skip
"""The words of ``instructions`` that are understood; the first one in the text wins, everything else is ignored."""

# The most that a seed moves the voice: below what two takes of one speaker differ by.
_JITTER_SPEED: Final = 0.03
_JITTER_SEMITONES: Final = 0.4
_JITTER_RANGE: Final = 0.08


def prosody_of(parameters: SpeechParameters, text: str) -> Prosody:
    """The way of speaking that the parameters ask for; equal arguments give equal prosody.

    Seed 0 is the plain rendering; any other seed is another take, a little faster or slower, higher or lower, drawn
    for each text on its own.
    """
    emotion = EMOTIONS[_emotion_of(parameters)]
    wished = replace(
        emotion, speed=emotion.speed * parameters.speed, semitones=emotion.semitones + parameters.pitch_semitones
    )
    if parameters.seed == 0:
        return wished
    tempo, height, swing = _draws(f"{parameters.seed}:{text}")
    return replace(
        wished,
        speed=wished.speed * (1 + _JITTER_SPEED * tempo),
        semitones=wished.semitones + _JITTER_SEMITONES * height,
        range=wished.range * (1 + _JITTER_RANGE * swing),
    )


def _emotion_of(parameters: SpeechParameters) -> str:
    """An explicit emotion wins over what ``instructions`` hint at."""
    if parameters.emotion != NEUTRAL or not parameters.instructions:
        return parameters.emotion
    words = re.findall(r"[a-z]+", parameters.instructions.lower())
    return next((KEYWORDS[word] for word in words if word in KEYWORDS), NEUTRAL)


def _draws(key: str) -> tuple[float, float, float]:
    """Three numbers in [-1, 1) that depend on nothing but the key."""
    digest = hashlib.sha256(key.encode(errors="surrogatepass")).digest()
    first, second, third = (int.from_bytes(digest[at : at + 4], "big") / 2**31 - 1 for at in (0, 4, 8))
    return first, second, third
