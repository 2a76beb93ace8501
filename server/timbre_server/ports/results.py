"""What do the places promise that keep finished speech?"""

from __future__ import annotations

from dataclasses import dataclass

from timbre_server.domain.speech import SpeechParameters


@dataclass(frozen=True)
class VoiceIdentity:
    """Which recording a request speaks with, as it was when the request asked."""

    preset: str = ""
    """Name of a built-in voice; empty for an enrolled one, which has all that follows."""
    digest: str = ""
    """``Reference.digest``."""
    generation: int = 0
    transcript: str = ""


@dataclass(frozen=True)
class Saying:
    """Who says what, and how: all that one engine makes speech from."""

    tenant: str
    voice: VoiceIdentity
    text: str
    parameters: SpeechParameters
    """As the engine was found to agree to them, but ``speed`` for the whole of request, engine and stretch."""
