"""Utterances and references for tests of engines: a voice and a text in one line."""

from __future__ import annotations

import hashlib
from collections.abc import Callable

import numpy as np

from timbre_server.domain.pcm import Pcm
from timbre_server.domain.speech import SpeechParameters
from timbre_server.domain.voice import CANONICAL_SAMPLE_RATE_HZ, Features, Reference
from timbre_server.ports import Engine, Utterance


def a_reference(seconds: float = 5.0, *, hertz: float = 110.0, transcript: str = "") -> Reference:
    """A harmonic tone with syllables: voiced for engines that look for speech by level or by pitch."""
    time = np.arange(round(seconds * CANONICAL_SAMPLE_RATE_HZ)) / CANONICAL_SAMPLE_RATE_HZ
    harmonics = sum(np.sin(2 * np.pi * hertz * number * time) / number for number in range(1, 20))
    samples = (0.1 * harmonics * (0.75 + 0.25 * np.sin(2 * np.pi * 4.0 * time))).astype(np.float32)
    return Reference(Pcm(samples, CANONICAL_SAMPLE_RATE_HZ), hashlib.sha256(samples.tobytes()).hexdigest(), transcript)


def a_voice(engine: Engine, name: str = "alloy") -> Features:
    return engine.preset_voices()[name]


def an_utterance(engine: Engine, text: str, *, voice: str = "alloy", **wishes: float | str) -> Utterance:
    """One job in a preset voice; ``wishes`` are fields of ``SpeechParameters``."""
    return Utterance(text, a_voice(engine, voice), SpeechParameters(**wishes))


def nobody_left(_index: int) -> bool:
    """The ``cancelled`` of a batch that everybody waits for."""
    return False


def left(*indices: int) -> Callable[[int], bool]:
    """The ``cancelled`` of a batch whose jobs of these indices nobody waits for."""
    return lambda index: index in indices
