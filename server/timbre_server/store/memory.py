"""The voice store of a server that runs alone: everything lives in this process and ends with it."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import TypeVar

from timbre_server.domain.voice import ConsentRecord, VoiceRecord
from timbre_server.errors import ConsentNotFound, NotFound, RegistryFull, VoiceNotFound

_FULL = "the voice store is full; delete a voice or raise TIMBRE_VOICES__MAX_STORED_BYTES"


class InMemoryVoiceStore:
    """``VoiceStore`` over dictionaries; lives on one event loop, where a method without ``await`` is atomic."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._voices: dict[tuple[str, str], VoiceRecord] = {}
        self._consents: dict[tuple[str, str], ConsentRecord] = {}
        self._tombstones: dict[tuple[str, str], int] = {}

    @property
    def stored_bytes(self) -> int:
        """Bytes of all recordings."""
        voices = sum(len(voice.reference_flac) for voice in self._voices.values())
        return voices + sum(len(consent.recording_flac) for consent in self._consents.values())

    def _check_room(self, more_bytes: int) -> None:
        if self.stored_bytes + more_bytes > self._max_bytes:
            raise RegistryFull(_FULL, retry_after_seconds=60.0)

    async def add_voice(self, voice: VoiceRecord) -> VoiceRecord:
        key = (voice.tenant, voice.id)
        self._check_room(len(voice.reference_flac))
        added = replace(voice, generation=self._tombstones.get(key, 0) + 1)
        self._voices[key] = added
        return added

    async def replace_voice(self, voice: VoiceRecord) -> VoiceRecord:
        before = self._voice(voice.tenant, voice.id)
        self._check_room(len(voice.reference_flac) - len(before.reference_flac))
        after = replace(voice, generation=before.generation + 1, created_at=before.created_at)
        self._voices[voice.tenant, voice.id] = after
        return after

    def _voice(self, tenant: str, voice_id: str) -> VoiceRecord:
        try:
            return self._voices[tenant, voice_id]
        except KeyError:
            raise VoiceNotFound("no voice has this id", param="voice") from None

    async def voice(self, tenant: str, voice_id: str) -> VoiceRecord:
        return self._voice(tenant, voice_id)

    async def voices(self, tenant: str, *, after: str | None, limit: int) -> tuple[Sequence[VoiceRecord], bool]:
        return _page(self._voices, tenant, after, limit, lambda: VoiceNotFound("no voice has this id", param="after"))

    async def delete_voice(self, tenant: str, voice_id: str) -> VoiceRecord:
        deleted = self._voice(tenant, voice_id)
        del self._voices[tenant, voice_id]
        self._tombstones[tenant, voice_id] = deleted.generation
        return deleted

    async def add_consent(self, consent: ConsentRecord) -> None:
        self._check_room(len(consent.recording_flac))
        self._consents[consent.tenant, consent.id] = consent

    async def consent(self, tenant: str, consent_id: str) -> ConsentRecord:
        try:
            return self._consents[tenant, consent_id]
        except KeyError:
            raise ConsentNotFound("no consent has this id", param="consent") from None

    async def consents(self, tenant: str, *, after: str | None, limit: int) -> tuple[Sequence[ConsentRecord], bool]:
        return _page(
            self._consents, tenant, after, limit, lambda: ConsentNotFound("no consent has this id", param="after")
        )

    async def rename_consent(self, tenant: str, consent_id: str, name: str) -> ConsentRecord:
        renamed = replace(await self.consent(tenant, consent_id), name=name)
        self._consents[tenant, consent_id] = renamed
        return renamed

    async def delete_consent(self, tenant: str, consent_id: str) -> None:
        await self.consent(tenant, consent_id)
        del self._consents[tenant, consent_id]


_R = TypeVar("_R", VoiceRecord, ConsentRecord)


def _page(
    records: dict[tuple[str, str], _R], tenant: str, after: str | None, limit: int, missing: Callable[[], NotFound]
) -> tuple[Sequence[_R], bool]:
    """Records of a tenant behind ``after``, newest first; dictionaries keep the order of creation."""
    newest_first = [record for (owner, _), record in reversed(records.items()) if owner == tenant]
    start = 0
    if after is not None:
        start = next((place + 1 for place, record in enumerate(newest_first) if record.id == after), -1)
        if start < 0:
            raise missing()
    return newest_first[start : start + limit], len(newest_first) > start + limit
