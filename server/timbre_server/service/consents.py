"""Consents: who agreed to be cloned, and is the voice at hand theirs?"""

from __future__ import annotations

import asyncio
import re
from collections.abc import Callable, Sequence
from typing import Final

import numpy as np

from timbre_server.audio.flac import to_flac
from timbre_server.domain.pcm import Pcm
from timbre_server.domain.voice import ConsentRecord
from timbre_server.errors import ConsentMismatch, ConsentNotFound, ConsentRequired, InvalidValue
from timbre_server.ports import SpeakerVerifier, VoiceStore
from timbre_server.service.names import CONSENT_PREFIX, RandomSource, checked_name, random_hex
from timbre_server.service.recordings import RecordingIntake

_EMBEDDING_DTYPE = "<f4"
_LANGUAGE_TAG: Final = re.compile(r"[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,4}")
"""The shape of a BCP 47 tag (RFC 5646, section 2.1); whether it is registered doesn't matter here."""


class ConsentService:
    """The use cases around consents.

    A consent binds a speaker, not a text: what is said in it is kept, and not recognised.  Deleting a consent
    stops new voices from using it; those enrolled with it stay until they are deleted themselves.
    """

    def __init__(
        self,
        *,
        store: VoiceStore,
        intake: RecordingIntake,
        verifier: SpeakerVerifier,
        require_consent: bool,
        clock: Callable[[], float],
        random_source: RandomSource = random_hex,
    ) -> None:
        """``clock`` gives Unix time in seconds."""
        self._store = store
        self._intake = intake
        self._verifier = verifier
        self._require_consent = require_consent
        self._clock = clock
        self._random_source = random_source

    async def add(self, tenant: str, name: str, language: str, recording: bytes) -> ConsentRecord:
        """A new consent.

        Raises:
            RequestRejected: the name, the language tag or the recording is at fault.
            RegistryFull: the store has no room.
        """
        name = checked_name(name)
        if not _LANGUAGE_TAG.fullmatch(language):
            raise InvalidValue("`language` must be a BCP 47 tag, as en-US", param="language")
        reference = await self._intake.reference(recording, param="recording")
        embedding = await asyncio.to_thread(self._verifier.embed, reference.pcm)
        consent = ConsentRecord(
            id=CONSENT_PREFIX + self._random_source(),
            tenant=tenant,
            name=name,
            language=language,
            created_at=int(self._clock()),
            recording_flac=await asyncio.to_thread(to_flac, reference.pcm),
            speaker_embedding=embedding.astype(_EMBEDDING_DTYPE).tobytes(),
        )
        await self._store.add_consent(consent)
        return consent

    async def required(self, tenant: str, consent_id: str | None) -> ConsentRecord | None:
        """The consent that goes with a new recording of a voice; None where none is given and none is needed.

        Raises:
            ConsentRequired: none is given, and this service asks for one.
            ConsentNotFound: no consent has that id.
        """
        if consent_id is None:
            if self._require_consent:
                raise ConsentRequired(
                    "`consent` is required here: record one at /v1/audio/voice_consents first", param="consent"
                )
            return None
        return await self.consent(tenant, consent_id, param="consent")

    async def match(self, consent: ConsentRecord, sample: Pcm) -> None:
        """Compares the speakers of a consent and a sample.

        Raises:
            ConsentMismatch: they do not sound alike.
        """
        heard = await asyncio.to_thread(self._verifier.embed, sample)
        stored = consent.speaker_embedding
        agreed = np.frombuffer(stored, dtype=_EMBEDDING_DTYPE, count=len(stored) // 4)
        # Not ``<``: what was restored from a file may hold anything, and NaN is not like anybody.
        alike = heard.shape == agreed.shape and float(np.dot(heard, agreed)) >= self._verifier.threshold
        if not alike:
            raise ConsentMismatch(
                "the speaker of `audio_sample` does not sound like the speaker of the consent", param="consent"
            )

    async def consent(self, tenant: str, consent_id: str, *, param: str | None = None) -> ConsentRecord:
        """Raises: ConsentNotFound, with that ``param``."""
        try:
            return await self._store.consent(tenant, consent_id)
        except ConsentNotFound as error:
            raise ConsentNotFound("no consent has this id", param=param) from error

    async def page(self, tenant: str, *, after: str | None, limit: int) -> tuple[Sequence[ConsentRecord], bool]:
        """As ``VoiceStore.consents``.

        Raises:
            ConsentNotFound: ``after`` names no consent.
        """
        try:
            return await self._store.consents(tenant, after=after, limit=limit)
        except ConsentNotFound as error:
            raise ConsentNotFound("no consent has the id in `after`", param="after") from error

    async def rename(self, tenant: str, consent_id: str, name: str) -> ConsentRecord:
        """The consent under another name.  Raises: InvalidValue, ConsentNotFound."""
        return await self._store.rename_consent(tenant, consent_id, checked_name(name))

    async def delete(self, tenant: str, consent_id: str) -> None:
        """Erases the consent and its recording.  Raises: ConsentNotFound."""
        await self._store.delete_consent(tenant, consent_id)
