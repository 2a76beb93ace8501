"""Can the engine do what a request asks for, and what remains for others to do?"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from timbre_server.domain.speech import SpeechParameters
from timbre_server.errors import InvalidValue, UnsupportedEmotion, UnsupportedLanguage
from timbre_server.ports import EngineDescriptor

SLOWEST: Final = 0.25
FASTEST: Final = 4.0
"""Bounds of ``speed`` in OpenAI's API reference."""


@dataclass(frozen=True)
class Plan:
    """A request's parameters, shared out between the engine and the stretch behind it."""

    parameters: SpeechParameters
    """For the engine, each within its range."""
    tempo: float
    """What is left of ``speed`` for a pitch-preserving stretch; 1 = nothing."""


def plan(wishes: SpeechParameters, descriptor: EngineDescriptor) -> Plan:
    """The wishes as this engine can fulfil them; ``speed`` counts for the whole request.

    Raises:
        InvalidValue, UnsupportedEmotion, UnsupportedLanguage: it cannot; the message says what it can.
    """
    _check_range("speed", wishes.speed, (SLOWEST, FASTEST))
    _check_range("pitch", wishes.pitch_semitones, descriptor.pitch_range_semitones)
    if wishes.emotion not in descriptor.emotions:
        known = ", ".join(descriptor.emotions)
        raise UnsupportedEmotion(f"`emotion` must be one of {known}", param="emotion")
    slowest, fastest = descriptor.speed_range
    speed = min(max(wishes.speed, slowest), fastest)
    language = _primary_language(wishes.language, descriptor)
    return Plan(replace(wishes, speed=speed, language=language), wishes.speed / speed)


def _check_range(field: str, value: float, bounds: tuple[float, float]) -> None:
    low, high = bounds
    if not low <= value <= high:
        raise InvalidValue(f"`{field}` must be from {low:g} to {high:g}", param=field)


def _primary_language(tag: str, descriptor: EngineDescriptor) -> str:
    """``en`` of ``en-US``: regions and scripts are accepted, and no engine here tells them apart."""
    language = tag.partition("-")[0].lower()
    if language and language not in descriptor.languages:
        known = ", ".join(descriptor.languages)
        raise UnsupportedLanguage(f"`language` must be one of {known}", param="language")
    return language
