"""With which voice does a request speak, and where do its features come from?"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import cached_property
from typing import Final

from timbre_server.audio.flac import from_flac
from timbre_server.domain.voice import Features, Reference, VoiceRecord
from timbre_server.errors import ConsentRequired, MissingField, VoiceNotFound
from timbre_server.ports import (
    Engine,
    FeatureName,
    FeatureSource,
    FoundFeatures,
    Heat,
    VoiceIdentity,
    VoiceName,
    VoiceStore,
)
from timbre_server.service.admission import Admission
from timbre_server.service.names import VOICE_PREFIX
from timbre_server.service.recordings import RecordingIntake

PRESET_SOURCE = "host"
"""Presets come with the engine and are always in memory."""

_REPLACEMENTS: Final = 2
"""How often a request follows a voice to a new recording: two replacements within one look-up are a script gone wild."""


@dataclass(frozen=True)
class OneOffReference:
    """A recording that came with the request: never stored, though its features may stay cached under its digest."""

    audio: bytes
    """As uploaded; untrusted."""
    transcript: str = ""


class Role:
    """A voice that is known to exist: fetches its features, for which the admission pays if they must be extracted."""

    def __init__(
        self, find: Callable[[Role, Admission], Awaitable[FoundFeatures]], identity: VoiceIdentity | None
    ) -> None:
        self.identity = identity
        """Whose voice it is; None for a one-off reference.  Another one once the features turned out to be of a new recording."""
        self._find = find

    async def __call__(self, admission: Admission) -> FoundFeatures:
        return await self._find(self, admission)


def _always() -> bool:
    return True


class Casting:
    """Finds voices: presets of the engine, enrolled voices, one-off references."""

    def __init__(
        self,
        *,
        engine: Engine,
        store: VoiceStore,
        features: FeatureSource,
        intake: RecordingIntake,
        heat: Heat | None = None,
        require_consent: bool = False,
        engine_loaded: Callable[[], bool] = _always,
    ) -> None:
        """``engine_loaded``: whether the engine can be asked for its built-in voices."""
        self._engine_loaded = engine_loaded
        self._heat = heat
        self._engine = engine
        self._store = store
        self._features = features
        self._intake = intake
        self._require_consent = require_consent

    async def role(self, tenant: str, voice: str | None, reference: OneOffReference | None) -> Role:
        """What to speak with; a one-off reference goes before a voice's name, which clients cannot leave out.

        Raises:
            MissingField: neither is given.
            VoiceNotFound: no voice has that name or id.
            ConsentRequired: a one-off voice has no consent, and this service asks for one.
        """
        if reference is not None:
            return self._one_off(reference)
        if voice is None:
            raise MissingField("`voice` is required", param="voice")
        if not voice.startswith(VOICE_PREFIX) and not self._engine_loaded():
            return self._preset(voice)  # if it is one, which shows when it is wanted
        if voice in self._presets:
            return self._preset(voice)
        if not voice.startswith(VOICE_PREFIX):
            raise VoiceNotFound(self._unknown(), param="voice")
        erasures = self._features.erasures  # before the registry is asked: what is erased after that is not kept
        return self._enrolled(await self._record(tenant, voice), erasures)

    async def identity(self, tenant: str, voice: str) -> VoiceIdentity:
        """Of an enrolled voice, as it is now.  Raises: VoiceNotFound."""
        return _identity(await self._record(tenant, voice))

    @cached_property
    def _presets(self) -> Mapping[str, Features]:
        """Asked for once the engine has been loaded, and kept: one voice is one object, and may share a batch."""
        return self._engine.preset_voices()

    def _unknown(self) -> str:
        presets = ", ".join(sorted(self._presets))
        return f"no voice has this name or id; built-in voices: {presets or 'none'}; enrolled ones go by their id"

    async def _record(self, tenant: str, voice: str) -> VoiceRecord:
        try:
            return await self._store.voice(tenant, voice)
        except VoiceNotFound as error:
            raise VoiceNotFound(self._unknown(), param="voice") from error

    def _preset(self, name: str) -> Role:
        async def preset(_: Role, __: Admission) -> FoundFeatures:
            if name not in self._presets:
                raise VoiceNotFound(self._unknown(), param="voice")
            return FoundFeatures(self._presets[name], PRESET_SOURCE)

        return Role(preset, VoiceIdentity(preset=name))

    def _enrolled(self, record: VoiceRecord, erasures: int) -> Role:
        async def enrolled(role: Role, admission: Admission) -> FoundFeatures:
            found = await self._found(role, record, erasures, admission)
            if self._heat is not None:
                self._heat.used(VoiceName(record.tenant, record.id))
            return found

        return Role(enrolled, _identity(record))

    async def _found(self, role: Role, record: VoiceRecord, erasures: int, admission: Admission) -> FoundFeatures:
        """The features of the voice as it was found, or as it is now if its recording was replaced meanwhile."""
        for _ in range(_REPLACEMENTS):
            try:
                return await self._features_of(record, erasures, admission)
            except VoiceNotFound:
                # Also where another voice with the same recording was deleted, whose request had begun the look-up.
                erasures = self._features.erasures
                record = await self._record(record.tenant, record.id)
                role.identity = _identity(record)
        return await self._features_of(record, erasures, admission)

    async def _features_of(self, record: VoiceRecord, erasures: int, admission: Admission) -> FoundFeatures:
        async def load() -> Reference:
            flac = await self._store.reference(record.tenant, record.id, record.digest)
            return Reference(await asyncio.to_thread(from_flac, flac), record.digest, record.transcript)

        paying = admission.loading(load, self._engine.extraction_cost_seconds)
        return await self._features.features(FeatureName(record.digest, record.transcript), paying, erasures=erasures)

    def _one_off(self, one_off: OneOffReference) -> Role:
        if self._require_consent:
            raise ConsentRequired(
                "this service speaks only with voices whose speaker consented: enrol the voice with a consent first",
                param="reference_audio",
            )

        async def one_off_role(_: Role, admission: Admission) -> FoundFeatures:
            reference = await self._intake.reference(
                one_off.audio, param="reference_audio", transcript=one_off.transcript
            )
            name = FeatureName(reference.digest, reference.transcript)

            async def load() -> Reference:
                return reference

            paying = admission.loading(load, self._engine.extraction_cost_seconds)
            return await self._features.features(name, paying, one_off=True)

        return Role(one_off_role, None)


def _identity(record: VoiceRecord) -> VoiceIdentity:
    return VoiceIdentity(digest=record.digest, generation=record.generation, transcript=record.transcript)
