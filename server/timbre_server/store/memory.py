"""The voice store of a server that runs alone: everything lives in this process and ends with it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from timbre_server.domain.voice import ConsentRecord, VoiceRecord
from timbre_server.errors import ConsentNotFound, InvalidValue, NotFound, RegistryFull, VoiceNotFound
from timbre_server.ports import ChangeKind, Deletion, Replacement, VoiceChange, VoiceName
from timbre_server.store.alone import AloneFleet

_FULL = "the voice store is full; delete a voice or raise TIMBRE_VOICES__MAX_STORED_BYTES"


class InMemoryVoiceStore:
    """``VoiceStore`` over dictionaries; lives on one event loop, where a method without ``await`` is atomic."""

    def __init__(self, max_bytes: int, fleet: AloneFleet | None = None) -> None:
        self._max_bytes = max_bytes
        self._fleet = fleet or AloneFleet()
        self._voices: dict[VoiceName, VoiceRecord] = {}
        self._references: dict[VoiceName, bytes] = {}
        self._consents: dict[tuple[str, str], ConsentRecord] = {}
        self._tombstones: dict[VoiceName, int] = {}
        self._entries = 0

    @property
    def stored_bytes(self) -> int:
        """Bytes of all recordings."""
        voices = sum(len(reference) for reference in self._references.values())
        return voices + sum(len(consent.recording_flac) for consent in self._consents.values())

    def _check_room(self, more_bytes: int) -> None:
        if self.stored_bytes + more_bytes > self._max_bytes:
            raise RegistryFull(_FULL, retry_after_seconds=60.0)

    async def add_voice(self, voice: VoiceRecord, reference_flac: bytes) -> VoiceRecord:
        name = VoiceName(voice.tenant, voice.id)
        if name in self._voices:
            raise InvalidValue("a voice with this id exists", param="voice")
        self._check_room(len(reference_flac))
        added = replace(voice, generation=self._tombstones.get(name, 0) + 1)
        self._put(name, added, reference_flac)
        self._tell(ChangeKind.ENROLLED, added)
        return added

    async def replace_voice(self, voice: VoiceRecord, reference_flac: bytes) -> Replacement:
        name = VoiceName(voice.tenant, voice.id)
        before = self._voice(name)
        self._check_room(len(reference_flac) - len(self._references.get(name, b"")))
        after = replace(voice, generation=before.generation + 1, created_at=before.created_at, name=before.name)
        self._put(name, after, reference_flac)
        self._tell(ChangeKind.REPLACED, after, before.digest)
        return Replacement(before, after)

    async def restore_voice(self, voice: VoiceRecord, reference_flac: bytes | None) -> bool:
        name = VoiceName(voice.tenant, voice.id)
        known = max(self._tombstones.get(name, 0), self._voices[name].generation if name in self._voices else 0)
        if known >= voice.generation:
            return False
        self._put(name, voice, reference_flac)
        self._tell(ChangeKind.ENROLLED, voice)
        return True

    def _put(self, name: VoiceName, voice: VoiceRecord, reference_flac: bytes | None) -> None:
        self._voices[name] = voice
        self._references.pop(name, None)
        if reference_flac is not None:
            self._references[name] = reference_flac

    def _tell(self, kind: ChangeKind, voice: VoiceRecord, previous_digest: str = "") -> str:
        self._entries += 1
        name = VoiceName(voice.tenant, voice.id)
        entry = str(self._entries)
        self._fleet.tell(VoiceChange(kind, name, voice.generation, voice.digest, entry, previous_digest))
        return entry

    def _voice(self, name: VoiceName) -> VoiceRecord:
        try:
            return self._voices[name]
        except KeyError:
            raise VoiceNotFound("no voice has this id", param="voice") from None

    async def voice(self, tenant: str, voice_id: str) -> VoiceRecord:
        return self._voice(VoiceName(tenant, voice_id))

    async def voices_named(self, names: Sequence[VoiceName]) -> Sequence[VoiceRecord | None]:
        return [self._voices.get(name) for name in names]

    async def reference(self, tenant: str, voice_id: str, digest: str) -> bytes:
        name = VoiceName(tenant, voice_id)
        if self._voice(name).digest != digest or name not in self._references:
            raise VoiceNotFound("the recording of this voice is not there any more", param="voice")
        return self._references[name]

    async def voices(self, tenant: str, *, after: str | None, limit: int) -> tuple[Sequence[VoiceRecord], bool]:
        return _page(self._voices, tenant, after, limit, lambda: VoiceNotFound("no voice has this id", param="after"))

    async def delete_voice(self, tenant: str, voice_id: str) -> Deletion:
        name = VoiceName(tenant, voice_id)
        deleted = self._voice(name)
        del self._voices[name]
        self._references.pop(name, None)
        self._tombstones[name] = deleted.generation
        return Deletion(deleted, self._tell(ChangeKind.DELETED, deleted))

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
_K = TypeVar("_K", bound=tuple[str, str])


def _page(
    records: Mapping[_K, _R], tenant: str, after: str | None, limit: int, missing: Callable[[], NotFound]
) -> tuple[Sequence[_R], bool]:
    """Records of a tenant behind ``after``, newest first; dictionaries keep the order of creation."""
    newest_first = [record for (owner, _), record in reversed(list(records.items())) if owner == tenant]
    start = 0
    if after is not None:
        start = next((place + 1 for place, record in enumerate(newest_first) if record.id == after), -1)
        if start < 0:
            raise missing()
    return newest_first[start : start + limit], len(newest_first) > start + limit
