"""Voices and consents: what is known of a person's voice, and what an engine keeps of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from timbre_server.domain.pcm import Array, Pcm

Features = Mapping[str, Array]
"""What an engine extracted from a reference: plain named arrays, immutable once made.

Where the engine has a device, the cache hands it torch tensors on that device in the place of numpy arrays."""


def feature_bytes(features: Features) -> int:
    """The memory that the arrays of one voice take, in bytes."""
    return sum(array.nbytes for array in features.values())


@dataclass(frozen=True, eq=False)
class Reference:
    """A recording of one speaker, decoded and checked: what a voice is extracted from."""

    pcm: Pcm
    """Canonical PCM: mono, ``CANONICAL_SAMPLE_RATE_HZ``."""
    digest: str
    """sha256 of the canonical PCM in hex: equal takes are equal whatever container they came in."""
    transcript: str = ""
    """What is said in it, where the caller told."""


CANONICAL_SAMPLE_RATE_HZ = 24_000
"""Rate of every stored reference: the rate of OpenAI's pcm format and of the engines that we know."""


@dataclass(frozen=True)
class VoiceRecord:
    """An enrolled voice as the store keeps it, without its recording (``VoiceStore.reference``)."""

    id: str
    """``voice_`` and random hex digits."""
    tenant: str
    name: str
    generation: int
    """1 for the first recording of this id, grows by one with each replacement, never falls."""
    digest: str
    """``Reference.digest`` of the recording."""
    created_at: int
    """Unix time in seconds of the first enrolment."""
    updated_at: int
    """Unix time in seconds of this generation."""
    transcript: str = ""
    consent_id: str | None = None


@dataclass(frozen=True)
class ConsentRecord:
    """A speaker's recorded agreement to have their voice cloned."""

    id: str
    """``cons_`` and random hex digits."""
    tenant: str
    name: str
    language: str
    """BCP 47 tag."""
    created_at: int
    recording_flac: bytes
    speaker_embedding: bytes
    """The speaker verifier's embedding of the recording: float32, little endian."""
