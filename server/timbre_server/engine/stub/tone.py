"""What does the stub engine's speech sound like?  A tone whose frequency tells the voice and whose length tells the text."""

from __future__ import annotations

import zlib
from functools import lru_cache

import numpy as np

from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import NEUTRAL, SpeechParameters
from timbre_server.ports import Utterance

SAMPLE_RATE_HZ = 24_000
"""The rate of OpenAI's pcm format, so that nothing is resampled on the way out."""

SECONDS_PER_CHARACTER = 0.06
"""English is read aloud at about 160 words of 6 characters (with the space) a minute."""

LOUDNESS = {NEUTRAL: 0.5, "happy": 0.6, "sad": 0.4}
"""An emotion is heard as a level: the least that a test can tell apart."""


def spoken_seconds(text: str, parameters: SpeechParameters) -> float:
    return len(text) * SECONDS_PER_CHARACTER / parameters.speed


def tone_of(job: Utterance) -> Samples:
    """The speech of one job: a read-only stretch of its voice's tone, so that making it takes no time."""
    parameters = job.parameters
    frequency_hz = round(float(job.features["tone_hz"][0]) * 2.0 ** (parameters.pitch_semitones / 12.0))
    length = round(spoken_seconds(job.text, parameters) * SAMPLE_RATE_HZ)
    phase = (zlib.crc32(job.text.encode()) + parameters.seed) % SAMPLE_RATE_HZ
    tone = _repeated_tone(frequency_hz, LOUDNESS.get(parameters.emotion, LOUDNESS[NEUTRAL]))
    if phase + length > len(tone):
        tone = np.tile(tone, 1 + (phase + length) // len(tone))
    return tone[phase : phase + length]


@lru_cache(maxsize=64)
def _repeated_tone(frequency_hz: int, loudness: float) -> Samples:
    """A tone of whole hertz, which fits whole seconds without a seam; 8 s, longer than most sentences (768 KB)."""
    turns = np.arange(SAMPLE_RATE_HZ, dtype=np.float64) * (frequency_hz / SAMPLE_RATE_HZ)
    tone = np.tile((loudness * np.sin(2.0 * np.pi * turns)).astype(np.float32), 8)
    tone.flags.writeable = False
    return tone
