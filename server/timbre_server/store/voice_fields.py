"""How does a voice or a consent lie in a Redis hash?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from timbre_server.domain.voice import ConsentRecord, VoiceRecord
from timbre_server.ports import VoiceName

RECORD_FIELDS: Final = ("generation", "digest", "name", "created_at", "updated_at", "transcript", "consent_id")
"""A voice's hash without its recording; the scripts return records in this order (``RECORD`` of ``lua/_change.lua``)."""

REFERENCE: Final = "reference"

CONSENT_FIELDS: Final = ("name", "language", "created_at", "recording_flac", "speaker_embedding")


def voice_arguments(voice: VoiceRecord) -> tuple[str | int, ...]:
    """A record's values in the order of ``RECORD_FIELDS``."""
    return (
        voice.generation,
        voice.digest,
        voice.name,
        voice.created_at,
        voice.updated_at,
        voice.transcript,
        voice.consent_id or "",
    )


def voice_from_fields(name: VoiceName, values: Sequence[bytes | None]) -> VoiceRecord | None:
    """The record of values in the order of ``RECORD_FIELDS``, or None where the hash does not exist."""
    if values[0] is None:
        return None
    generation, digest, label, created_at, updated_at, transcript, consent_id = (_text(value) for value in values)
    return VoiceRecord(
        id=name.voice_id,
        tenant=name.tenant,
        name=label,
        generation=int(generation),
        digest=digest,
        created_at=int(created_at),
        updated_at=int(updated_at),
        transcript=transcript,
        consent_id=consent_id or None,
    )


def consent_arguments(consent: ConsentRecord) -> tuple[str | bytes | int, ...]:
    """A consent as names and values by turns."""
    return tuple(part for field in CONSENT_FIELDS for part in (field, getattr(consent, field)))


def consent_from_fields(tenant: str, consent_id: str, values: Mapping[bytes, bytes]) -> ConsentRecord | None:
    """The consent of a hash, or None where the hash does not exist."""
    if not values:
        return None
    return ConsentRecord(
        id=consent_id,
        tenant=tenant,
        name=_text(values[b"name"]),
        language=_text(values[b"language"]),
        created_at=int(values[b"created_at"]),
        recording_flac=values[b"recording_flac"],
        speaker_embedding=values[b"speaker_embedding"],
    )


def _text(value: bytes | None) -> str:
    return "" if value is None else value.decode()
