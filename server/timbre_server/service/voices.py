"""Voices: enrol one, replace its recording, list them, erase one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from enum import StrEnum

from timbre_server.audio.flac import to_flac
from timbre_server.domain.voice import Reference, VoiceRecord
from timbre_server.errors import InvalidValue, Overloaded, VoiceNotFound
from timbre_server.ports import Dispatcher, Engine, FeatureName, FeatureSource, VoiceName, VoiceStore
from timbre_server.service.consents import ConsentService
from timbre_server.service.demand import Demand
from timbre_server.service.erasure import Erasure, ErasureReceipt
from timbre_server.service.names import VOICE_PREFIX, RandomSource, checked_name, random_hex
from timbre_server.service.recordings import RecordingIntake


@dataclass(frozen=True)
class VoiceUpload:
    """A recording that is to become a voice."""

    audio: bytes
    """As uploaded; untrusted."""
    consent_id: str | None = None
    transcript: str = ""
    """What is said in it, where the caller told."""
    retry: bool = False
    """As ``SpeechRequest.retry``."""


class Declared(StrEnum):
    """What became of a voice that was declared."""

    PRESENT = "present"
    """It was there as declared."""
    ENROLLED = "enrolled"
    REPLACED = "replaced"


class VoiceService:
    """The use cases around enrolled voices.

    A voice is stored only after its features have been extracted: what has an id can speak, the first request
    with it is a hit, and a recording that the engine refuses is refused while its owner is still looking.  The
    extraction takes its place in the queue like any other work, so a busy server answers an enrolment with 429.
    """

    def __init__(  # noqa: PLR0913 - the composition root names every part
        self,
        *,
        engine: Engine,
        dispatcher: Dispatcher,
        store: VoiceStore,
        features: FeatureSource,
        erasure: Erasure,
        intake: RecordingIntake,
        consents: ConsentService,
        clock: Callable[[], float],
        random_source: RandomSource = random_hex,
        demand: Demand | None = None,
    ) -> None:
        """``clock`` gives Unix time in seconds; ``demand`` as in ``SpeechService``."""
        self._demand = Demand(dispatcher) if demand is None else demand
        self._erasure = erasure
        self._engine = engine
        self._dispatcher = dispatcher
        self._store = store
        self._features = features
        self._intake = intake
        self._consents = consents
        self._clock = clock
        self._random_source = random_source

    def presets(self) -> Sequence[str]:
        """Names of the engine's built-in voices."""
        return sorted(self._engine.preset_voices())

    async def enrol(self, tenant: str, name: str, upload: VoiceUpload) -> VoiceRecord:
        """A new voice, ready to speak.

        Raises:
            RequestRejected: the name, the recording or its consent is at fault.
            ConsentNotFound: no consent has that id.
            Overloaded, EngineError: the features could not be extracted now.
            RegistryFull: the store has no room.
        """
        name = checked_name(name)
        reference = await self._checked(tenant, upload, upload.consent_id)
        record = self._record(tenant, VOICE_PREFIX + self._random_source(), name, reference, upload.consent_id)
        async with self._forgotten_on_failure(record.digest):
            return await self._store.add_voice(record, await asyncio.to_thread(to_flac, reference.pcm))

    async def declare(self, tenant: str, voice_id: str, name: str, upload: VoiceUpload) -> Declared:
        """The voice of this id is as the upload says: enrolled where it is missing, replaced where it is another.

        Idempotent, and on several pods at once: its features are ready here in any case.

        Raises: whatever ``enrol`` raises.
        """
        name = checked_name(name)
        reference = await self._checked(tenant, upload, upload.consent_id)
        wanted = self._record(tenant, voice_id, name, reference, upload.consent_id)
        (there,) = await self._store.voices_named([VoiceName(tenant, voice_id)])
        if there is None and await self._added(wanted, reference):
            return Declared.ENROLLED
        before = there or await self._store.voice(tenant, voice_id)
        if _says_the_same(before, wanted):
            return Declared.PRESENT
        await self._put_in_place(before, wanted, reference)
        return Declared.REPLACED

    async def _added(self, wanted: VoiceRecord, reference: Reference) -> bool:
        """Whether it was stored; False where another pod was faster."""
        flac = await asyncio.to_thread(to_flac, reference.pcm)
        async with self._forgotten_on_failure(wanted.digest):
            try:
                await self._store.add_voice(wanted, flac)
            except InvalidValue:  # its features stay: the other pod stored the same voice, or ours replaces it now
                return False
        return True

    async def replace(self, tenant: str, voice_id: str, upload: VoiceUpload) -> VoiceRecord:
        """The voice with a new recording: same id and name, next generation.

        The consent that the voice was enrolled with binds its replacement too, unless another one is given.

        Raises:
            VoiceNotFound: and whatever ``enrol`` raises.
        """
        before = await self._store.voice(tenant, voice_id)
        consent_id = upload.consent_id or before.consent_id
        reference = await self._checked(tenant, upload, consent_id)
        wanted = self._record(tenant, voice_id, before.name, reference, consent_id)
        return await self._put_in_place(before, wanted, reference)

    async def _put_in_place(self, before: VoiceRecord, wanted: VoiceRecord, reference: Reference) -> VoiceRecord:
        """The next generation."""
        updated = replace(
            before,
            digest=wanted.digest,
            updated_at=wanted.updated_at,
            transcript=wanted.transcript,
            consent_id=wanted.consent_id,
        )
        async with self._forgotten_on_failure(updated.digest):
            replaced = await self._store.replace_voice(updated, await asyncio.to_thread(to_flac, reference.pcm))
        if replaced.before.digest != replaced.after.digest:
            await self._erasure.forget_everywhere(replaced.before.digest)
        return replaced.after

    def _record(
        self, tenant: str, voice_id: str, name: str, reference: Reference, consent_id: str | None
    ) -> VoiceRecord:
        """Of a first recording."""
        now = int(self._clock())
        return VoiceRecord(
            id=voice_id,
            tenant=tenant,
            name=name,
            generation=1,
            digest=reference.digest,
            created_at=now,
            updated_at=now,
            transcript=reference.transcript,
            consent_id=consent_id,
        )

    async def voice(self, tenant: str, voice_id: str) -> VoiceRecord:
        """Raises: VoiceNotFound."""
        return await self._store.voice(tenant, voice_id)

    async def page(self, tenant: str, *, after: str | None, limit: int) -> tuple[Sequence[VoiceRecord], bool]:
        """As ``VoiceStore.voices``.

        Raises:
            VoiceNotFound: ``after`` names no voice.
        """
        try:
            return await self._store.voices(tenant, after=after, limit=limit)
        except VoiceNotFound as error:
            raise VoiceNotFound("no voice has the id in `after`", param="after") from error

    async def delete(self, tenant: str, voice_id: str) -> ErasureReceipt:
        """Erases the voice here and on every pod, as ``Erasure.delete``.  Raises: VoiceNotFound."""
        return await self._erasure.delete(tenant, voice_id)

    async def _checked(self, tenant: str, upload: VoiceUpload, consent_id: str | None) -> Reference:
        """The recording, fit to be a voice, its speaker's consent seen, its features extracted."""
        consent = await self._consents.required(tenant, consent_id)
        reference = await self._intake.reference(upload.audio, param="audio_sample", transcript=upload.transcript)
        if consent is not None:
            await self._consents.match(consent, reference.pcm)
        cost_seconds = self._engine.extraction_cost_seconds(reference.pcm.duration_seconds)

        def asked() -> None:
            if not upload.retry:
                self._demand.enrolment(cost_seconds)

        async def load() -> Reference:
            asked()
            return reference

        try:
            permit = self._dispatcher.admit(cost_seconds)
        except Overloaded:
            asked()
            raise
        try:
            await self._features.prepare(FeatureName(reference.digest, upload.transcript), load)
        finally:
            permit.release()
        return reference

    @asynccontextmanager
    async def _forgotten_on_failure(self, digest: str) -> AsyncIterator[None]:
        """Features of a recording that could not be stored are not kept either, on no pod: nobody could ask for their erasure."""
        try:
            yield
        except BaseException:
            await self._erasure.forget_everywhere(digest)
            raise


def _says_the_same(there: VoiceRecord, wanted: VoiceRecord) -> bool:
    """Whether the recording, what is said in it and the consent are equal."""
    return (there.digest, there.transcript, there.consent_id) == (wanted.digest, wanted.transcript, wanted.consent_id)
