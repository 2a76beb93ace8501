"""How do many recordings become voices at once, and what happens if that is begun twice?

A voice without an id of its own gets one made of its tenant, name, transcript and file, so a second run finds what the
first one stored, and decodes none of it again.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from pathlib import Path
from typing import Final, Protocol, TypeVar

from timbre_server.app.progress import Progress
from timbre_server.app.recording_files import read_recording, recording_digest
from timbre_server.app.voice_archive import Archive, ConsentEntry, Entry, History, Problem
from timbre_server.audio.flac import to_flac
from timbre_server.domain.voice import Reference, VoiceRecord
from timbre_server.errors import (
    AudioUnreadable,
    ConsentNotFound,
    InvalidValue,
    NotFound,
    RequestRejected,
)
from timbre_server.ports import VoiceName, VoiceStore
from timbre_server.service.consents import ConsentService
from timbre_server.service.names import VOICE_PREFIX, checked_name
from timbre_server.service.recordings import Decoder, RecordingIntake

BATCH: Final = 32
"""Voices that are looked up, prepared and stored together.  Decoding 32 takes seconds, storing them milliseconds, so more
would gain nothing; and 32 recordings of 30 s are 46 MB at most."""

T = TypeVar("T")


class ManyVoices(VoiceStore, Protocol):
    """A registry that takes many voices in one round trip."""

    async def add_voices(self, voices: Sequence[tuple[VoiceRecord, bytes]]) -> Sequence[bool]:
        """As ``add_voice`` for each, with its recording; False in the place of those whose id is taken."""
        ...

    async def restore_voices(self, voices: Sequence[tuple[VoiceRecord, bytes]]) -> Sequence[bool]:
        """As ``restore_voice`` for each."""
        ...


Refusal = RequestRejected | NotFound | OSError
"""What is wrong with one voice, and stops no other."""


@dataclass
class Tally:
    """What has been done so far, to be told after Ctrl-C too."""

    stored: int = 0
    present: int = 0
    """Were there already."""
    problems: list[Problem] = field(default_factory=list)

    @property
    def settled(self) -> int:
        """Stored or refused."""
        return self.stored + len(self.problems)

    def refused(self, where: str, error: Refusal) -> None:
        """Notes why this one cannot be stored."""
        reason = error.strerror or "cannot be read" if isinstance(error, OSError) else error.message
        self.problems.append(Problem(where, reason))


@dataclass(frozen=True)
class ImportRules:
    """What the importing service asks of voices."""

    min_voiced_seconds: float
    max_upload_bytes: int
    at_once: int
    """Recordings that are prepared at the same time."""


@dataclass(frozen=True)
class _Wanted:
    entry: Entry
    voice_id: str
    known: VoiceRecord | None
    """What the store has under this id."""


@dataclass(frozen=True)
class _Prepared:
    wanted: _Wanted
    voice: VoiceRecord
    flac: bytes


class VoicesImport:
    """Enrols the voices of an archive, or restores those of an export; lives on one event loop.

    A bad recording stops nothing.  Each write is atomic, so whoever is interrupted leaves whole voices only.
    """

    def __init__(
        self,
        rules: ImportRules,
        *,
        tenant: str,
        store: ManyVoices,
        decoder: Decoder,
        consents: ConsentService,
        progress: Progress,
        clock: Callable[[], float],
    ) -> None:
        """``clock`` gives Unix time in seconds."""
        self._rules = rules
        self._tenant = tenant
        self._store = store
        self._intake = RecordingIntake(decoder, min_voiced_seconds=rules.min_voiced_seconds)
        # What was a voice before is one again, though the engine may ask for more speech today.
        self._restoring = RecordingIntake(decoder, min_voiced_seconds=0.0)
        self._consents = consents
        self._progress = progress
        self._clock = clock
        self._working = asyncio.Semaphore(rules.at_once)
        self.tally = Tally()

    async def run(self, archive: Archive, *, consent_id: str | None = None) -> None:
        """Stores what is missing, consents first; ``consent_id`` is the consent of voices that name none.

        Raises:
            Unavailable: the store cannot be reached or is full; what ``tally`` says is stored.
        """
        self.tally.problems += archive.problems
        for consent in archive.consents:
            await self._restore_consent(consent)
        for start in range(0, len(archive.entries), BATCH):
            await self._batch(archive.entries[start : start + BATCH], consent_id)

    async def _restore_consent(self, entry: ConsentEntry) -> None:
        try:
            await self._store.consent(self._tenant, entry.line.id)
        except ConsentNotFound:
            try:
                checked_name(entry.line.name)
                recording = await self._restoring.reference(await self._read(entry.audio), param="audio")
                flac = await asyncio.to_thread(to_flac, recording.pcm)
                await self._store.add_consent(entry.to_record(self._tenant, flac))
            except (RequestRejected, OSError) as error:
                self.tally.refused(entry.where, error)

    async def _batch(self, entries: Sequence[Entry], consent_id: str | None) -> None:
        tally, before = self.tally, self.tally.settled
        named: dict[str, Entry] = {}
        for voice_id, entry in await self._each([(entry, partial(self._named, entry)) for entry in entries]):
            first = named.setdefault(voice_id, entry)
            if entry.voice_id is not None and replace(entry, where=first.where) != first:
                tally.refused(entry.where, InvalidValue(f"this id is also that of {first.where}"))
        records = await self._store.voices_named([VoiceName(self._tenant, voice_id) for voice_id in named])
        every = [_Wanted(named[voice_id], voice_id, record) for voice_id, record in zip(named, records, strict=True)]
        missing = [wanted for wanted in every if not _is_there(wanted)]
        self._progress.step(len(entries) - len(missing))
        prepare = [(wanted.entry, partial(self._prepared, wanted, consent_id)) for wanted in missing]
        await self._put(await self._each(prepare))
        tally.present += len(entries) - (tally.settled - before)

    async def _each(self, works: Sequence[tuple[Entry, Callable[[], Awaitable[T]]]]) -> list[T]:
        """What the works came to, a few at a time, without those that were refused: ``tally`` has these."""

        async def bounded(work: Callable[[], Awaitable[T]]) -> T:
            async with self._working:
                return await work()

        outcomes = await asyncio.gather(*(bounded(work) for _, work in works), return_exceptions=True)
        done = []
        for (entry, _), outcome in zip(works, outcomes, strict=True):
            if isinstance(outcome, Refusal):
                self.tally.refused(entry.where, outcome)
            elif isinstance(outcome, BaseException):
                raise outcome
            else:
                done.append(outcome)
        return done

    async def _named(self, entry: Entry) -> tuple[str, Entry]:
        """The entry under the id that it has, or that its content gives it."""
        if entry.voice_id is not None:
            return entry.voice_id, entry
        name = checked_name(entry.name)
        file_digest = await asyncio.to_thread(recording_digest, entry.audio, self._rules.max_upload_bytes)
        content = json.dumps([self._tenant, name, entry.transcript, file_digest])
        return VOICE_PREFIX + hashlib.sha256(content.encode()).hexdigest()[:32], entry

    async def _prepared(self, wanted: _Wanted, consent_id: str | None) -> _Prepared:
        """The voice as it is to be stored, checked as an upload is."""
        entry = wanted.entry
        try:
            if entry.history is None:
                reference, voice = await self._new(wanted, entry.consent_id or consent_id)
            else:
                reference, voice = await self._restored(wanted, entry.history)
            return _Prepared(wanted, voice, await asyncio.to_thread(to_flac, reference.pcm))
        finally:
            self._progress.step()

    async def _new(self, wanted: _Wanted, consent_id: str | None) -> tuple[Reference, VoiceRecord]:
        entry = wanted.entry
        name = checked_name(entry.name)
        consent = await self._consents.required(self._tenant, consent_id)
        reference = await self._intake.reference(
            await self._read(entry.audio), param="audio", transcript=entry.transcript
        )
        if consent is not None:
            await self._consents.match(consent, reference.pcm)
        if wanted.known is not None and wanted.known.digest != reference.digest:
            raise InvalidValue("a voice with this id has another recording; replace it with PUT /v1/audio/voices/{id}")
        now = int(self._clock())
        return reference, VoiceRecord(
            id=wanted.voice_id,
            tenant=self._tenant,
            name=name,
            generation=1,
            digest=reference.digest,
            created_at=now,
            updated_at=now,
            transcript=entry.transcript,
            consent_id=consent_id,
        )

    async def _restored(self, wanted: _Wanted, history: History) -> tuple[Reference, VoiceRecord]:
        """As it was; its consent was compared when it was enrolled, and may have been deleted since."""
        entry = wanted.entry
        name = checked_name(entry.name)
        if entry.consent_id is None:
            await self._consents.required(self._tenant, None)
        reference = await self._restoring.reference(
            await self._read(entry.audio), param="audio", transcript=entry.transcript
        )
        if reference.digest != history.digest:
            raise AudioUnreadable("this is not the recording that was exported: its digest differs")
        return reference, VoiceRecord(
            id=wanted.voice_id,
            tenant=self._tenant,
            name=name,
            transcript=entry.transcript,
            consent_id=entry.consent_id,
            **history.model_dump(),
        )

    async def _put(self, prepared: Sequence[_Prepared]) -> None:
        """Stores what is not there yet.  Whoever is cancelled here knows what was stored: a write takes 2 s at most."""
        writing = asyncio.create_task(self._write(prepared), name="write-voices")
        try:
            await asyncio.shield(writing)
        except asyncio.CancelledError:
            await asyncio.wait([writing])
            writing.exception()  # seen; the cancellation says more
            raise

    async def _write(self, prepared: Sequence[_Prepared]) -> None:
        new = [(one.voice, one.flac) for one in prepared if one.wanted.known is None and not one.wanted.entry.history]
        old = [(one.voice, one.flac) for one in prepared if one.wanted.entry.history]
        self.tally.stored += sum(await self._store.add_voices(new))
        self.tally.stored += sum(await self._store.restore_voices(old))

    async def _read(self, audio: Path) -> bytes:
        """Raises: as ``read_recording``."""
        return await asyncio.to_thread(read_recording, audio, self._rules.max_upload_bytes)


def _is_there(wanted: _Wanted) -> bool:
    """Whether the store has the voice, as far as can be told without decoding its recording."""
    entry, known = wanted.entry, wanted.known
    if known is None:
        return False
    if entry.history is not None:
        return known.generation >= entry.history.generation
    return entry.voice_id is None
