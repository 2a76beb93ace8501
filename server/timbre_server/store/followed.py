"""Where does a request learn which recording a voice has, without asking Redis each time and without ever being late?"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from typing import Final, TypeVar

from timbre_server.domain.voice import ConsentRecord, VoiceRecord
from timbre_server.errors import StoreUnavailable, VoiceNotFound
from timbre_server.ports import ChangeKind, Deletion, Replacement, VoiceChange, VoiceName
from timbre_server.settings import FreshnessSettings
from timbre_server.store.checker import Checker
from timbre_server.store.follower import Follower
from timbre_server.store.health import HEALTHY_SECONDS
from timbre_server.store.holdings import Flight, Holdings
from timbre_server.store.log_format import LogEntry
from timbre_server.store.reconciliation import Reconciliation, Verdict
from timbre_server.store.redis_voices import GONE, RedisVoiceStore, VoiceVersion
from timbre_server.store.rounds import Rounds

T = TypeVar("T")

_WANTED: Final = 1_024
"""Recordings that wait to be fetched; a voice that finds no place asks again at its next use."""

_REFILLING = "the voice store was emptied and is being filled again; try again"


class FollowedVoiceStore:
    """``VoiceStore`` over Redis that answers from memory while the log of changes is followed closely enough.

    What it has used it holds, recordings included: so known voices go on while Redis is away, and an emptied Redis can be
    filled again.
    """

    def __init__(
        self,
        store: RedisVoiceStore,
        holdings: Holdings,
        follower: Follower,
        reconciliation: Reconciliation,
        checker: Checker,
        *,
        freshness: FreshnessSettings,
        clock: Callable[[], float],
        unchecked_use: Callable[[], None],
    ) -> None:
        """``clock`` is the follower's; ``unchecked_use`` counts uses that Redis could not be asked about."""
        self._store = store
        self._records = Rounds(store.voices_named)
        self._holdings = holdings
        self._follower = follower
        self._reconciliation = reconciliation
        self._checker = checker
        self._freshness = freshness
        self._clock = clock
        self._unchecked_use = unchecked_use
        self._answered_at = float("-inf")
        self._wanted: asyncio.Queue[VoiceName] = asyncio.Queue(_WANTED)

    def take(self, entry: LogEntry) -> None:
        """An entry of the log takes effect: what it changed is not held any more when this returns."""
        if isinstance(entry, VoiceChange):
            deleted = entry.kind is ChangeKind.DELETED
            if deleted:
                self._reconciliation.deleted(entry.name, entry.generation)
            self._holdings.changed(entry.name, GONE if deleted else VoiceVersion(entry.generation, entry.digest))

    async def voice(self, tenant: str, voice_id: str) -> VoiceRecord:
        name = VoiceName(tenant, voice_id)
        record = self._holdings.use(name)
        if record is None:
            record = await self._fetched(name)
        elif self._freshness.mode == "strict" or not self._follower.healthy or self._holdings.doubted(name):
            record = await self._checked(name, record)
        self._checker.used(record)
        if self._holdings.want_recording(name):
            self._want(name)
        return record

    async def _checked(self, name: VoiceName, held: VoiceRecord) -> VoiceRecord:
        """The held record if the registry has the same, else the registry's."""
        asked_at = self._clock()
        try:
            found = await self._awake(lambda: self._reconciliation.check(name))
        except StoreUnavailable:
            if asked_at - max(self._answered_at, self._follower.known_up_to) >= self._freshness.max_offline_seconds:
                raise
            self._unchecked_use()
            return held
        self._answered_at = asked_at
        if found is None or found is Verdict.OVERTAKEN:
            return await self._fetched(name)
        return held

    async def _fetched(self, name: VoiceName) -> VoiceRecord:
        with self._holdings.flight(name) as flight:
            asked_at = self._clock()
            record = await self._awake(lambda: self._records.ask(name))
            if record is None:
                if self._reconciliation.degraded:
                    raise StoreUnavailable(_REFILLING)  # another pod may hold it
                raise VoiceNotFound("no voice has this id", param="voice")
            self._answered_at = asked_at
            self._holdings.keep(flight, record)
        return record

    async def _awake(self, ask: Callable[[], Awaitable[T]]) -> T:
        """The answer, asked for once more where this process slept over it: then it may be as old as the sleep was long."""
        asked_at = self._clock()
        answer = await ask()
        return answer if self._clock() - asked_at < HEALTHY_SECONDS else await ask()

    async def voices_named(self, names: Sequence[VoiceName]) -> Sequence[VoiceRecord | None]:
        with contextlib.ExitStack() as stack:
            flights = [stack.enter_context(self._holdings.flight(name)) for name in names]
            records = await self._store.voices_named(names)
            for flight, record in zip(flights, records, strict=True):
                if record is not None:
                    self._holdings.keep(flight, record)
        return records

    async def reference(self, tenant: str, voice_id: str, digest: str) -> bytes:
        name = VoiceName(tenant, voice_id)
        recording = self._holdings.recording(name, digest)
        if recording is None:
            try:
                recording = await self._store.reference(tenant, voice_id, digest)
            except VoiceNotFound:
                self._holdings.doubt(name)  # replaced or deleted, and the log has not told yet
                raise
            self._holdings.keep_recording(name, digest, recording)
        return recording

    async def add_voice(self, voice: VoiceRecord, reference_flac: bytes) -> VoiceRecord:
        with self._holdings.flight(VoiceName(voice.tenant, voice.id)) as flight:
            added = await self._store.add_voice(voice, reference_flac)
            self._keep_written(flight, added, reference_flac)
        return added

    async def replace_voice(self, voice: VoiceRecord, reference_flac: bytes) -> Replacement:
        with self._holdings.flight(VoiceName(voice.tenant, voice.id)) as flight:
            replacement = await self._store.replace_voice(voice, reference_flac)
            self._keep_written(flight, replacement.after, reference_flac)
        return replacement

    def _keep_written(self, flight: Flight, record: VoiceRecord, reference_flac: bytes) -> None:
        """What this pod wrote it knows at once."""
        self._holdings.written(flight)
        if self._holdings.keep(flight, record):
            self._holdings.keep_recording(flight.name, record.digest, reference_flac)
        else:  # the log told of this voice meanwhile, perhaps of something older
            self._holdings.doubt(flight.name)

    async def restore_voice(self, voice: VoiceRecord, reference_flac: bytes | None) -> bool:
        return await self._store.restore_voice(voice, reference_flac)

    async def delete_voice(self, tenant: str, voice_id: str) -> Deletion:
        name = VoiceName(tenant, voice_id)
        with self._holdings.flight(name) as flight:
            deletion = await self._store.delete_voice(tenant, voice_id)
            self._holdings.written(flight)
            self._holdings.drop_unless(name, GONE)
        return deletion

    async def voices(self, tenant: str, *, after: str | None, limit: int) -> tuple[Sequence[VoiceRecord], bool]:
        return await self._store.voices(tenant, after=after, limit=limit)

    async def add_consent(self, consent: ConsentRecord) -> None:
        await self._store.add_consent(consent)

    async def consent(self, tenant: str, consent_id: str) -> ConsentRecord:
        return await self._store.consent(tenant, consent_id)

    async def consents(self, tenant: str, *, after: str | None, limit: int) -> tuple[Sequence[ConsentRecord], bool]:
        return await self._store.consents(tenant, after=after, limit=limit)

    async def rename_consent(self, tenant: str, consent_id: str, name: str) -> ConsentRecord:
        return await self._store.rename_consent(tenant, consent_id, name)

    async def delete_consent(self, tenant: str, consent_id: str) -> None:
        await self._store.delete_consent(tenant, consent_id)

    def _want(self, name: VoiceName) -> None:
        try:
            self._wanted.put_nowait(name)
        except asyncio.QueueFull:
            self._holdings.recording_missed(name)

    async def fetch_recordings(self) -> None:
        """Fetches recordings of used voices for ever, one after another."""
        while True:
            name = await self._wanted.get()
            record = self._holdings.look(name)
            if record is not None:
                try:
                    await self.reference(*name, record.digest)
                except StoreUnavailable:
                    self._holdings.recording_missed(name)
                except VoiceNotFound:
                    pass  # replaced meanwhile, or the store has none
            self._wanted.task_done()

    async def recordings_fetched(self) -> None:
        """Returns when all recordings that were asked for so far have been fetched, or given up."""
        await self._wanted.join()
