"""What does the registry of voices and consents promise, and the log of its changes?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import NamedTuple, Protocol

from timbre_server.domain.voice import ConsentRecord, VoiceRecord


class VoiceName(NamedTuple):
    """Which voice: an id means nothing without its tenant."""

    tenant: str
    voice_id: str


class ChangeKind(StrEnum):
    """What happened to a voice."""

    ENROLLED = "enrolled"
    REPLACED = "replaced"
    DELETED = "deleted"


@dataclass(frozen=True)
class VoiceChange:
    """An entry of the log of changes."""

    kind: ChangeKind
    name: VoiceName
    generation: int
    """Of the voice after the change; of a deleted one, its last."""
    digest: str
    """Of the recording after the change; of a deleted voice, its last."""
    entry: str
    """Id of the entry in the log; equal on every pod."""
    previous_digest: str = ""
    """Of the recording that a replacement replaced."""


@dataclass(frozen=True)
class Replacement:
    """A voice before and after."""

    before: VoiceRecord
    after: VoiceRecord


@dataclass(frozen=True)
class Deletion:
    """A voice that is no more."""

    record: VoiceRecord
    """What it was."""
    entry: str
    """Id of its entry in the log of changes, for ``Fleet.acknowledged``."""


class VoiceStore(Protocol):
    """The registry of voices and consents.  Every write is atomic and in the log of changes before it returns.

    A tenant sees only its own.  Every method that needs the store's server raises ``StoreUnavailable`` when it cannot
    be reached within its budget.
    """

    async def add_voice(self, voice: VoiceRecord, reference_flac: bytes) -> VoiceRecord:
        """Stores a new voice; its generation is 1, or one more than that of a deleted voice of this id.

        Raises:
            RegistryFull: there is no room.
            InvalidValue: the id is taken.
        """
        ...

    async def replace_voice(self, voice: VoiceRecord, reference_flac: bytes) -> Replacement:
        """Stores a new recording under an existing id, with the next generation; ``created_at`` and ``name`` stay.

        Raises: VoiceNotFound, RegistryFull.
        """
        ...

    async def restore_voice(self, voice: VoiceRecord, reference_flac: bytes | None) -> bool:
        """Puts back a voice that the store lost, generation and all, and says whether it was needed.

        Nothing happens where the store has the voice, or its tombstone, with an equal or higher generation.  A voice
        without its recording is stored without one.
        """
        ...

    async def voice(self, tenant: str, voice_id: str) -> VoiceRecord:
        """Raises: VoiceNotFound."""
        ...

    async def voices_named(self, names: Sequence[VoiceName]) -> Sequence[VoiceRecord | None]:
        """Records in the order of the names, ``None`` where there is none, in one round trip."""
        ...

    async def reference(self, tenant: str, voice_id: str, digest: str) -> bytes:
        """The recording of a voice in FLAC, if it still is the one with that digest.  Raises: VoiceNotFound."""
        ...

    async def voices(self, tenant: str, *, after: str | None, limit: int) -> tuple[Sequence[VoiceRecord], bool]:
        """A page in order of creation, newest first, from behind the id ``after``; and whether more follow.

        Raises: VoiceNotFound: ``after`` names no voice.
        """
        ...

    async def delete_voice(self, tenant: str, voice_id: str) -> Deletion:
        """Erases record and recording; leaves a tombstone with the generation, so that the id never goes back.

        Raises: VoiceNotFound.
        """
        ...

    async def add_consent(self, consent: ConsentRecord) -> None:
        """Raises: RegistryFull."""
        ...

    async def consent(self, tenant: str, consent_id: str) -> ConsentRecord:
        """Raises: ConsentNotFound."""
        ...

    async def consents(self, tenant: str, *, after: str | None, limit: int) -> tuple[Sequence[ConsentRecord], bool]:
        """As ``voices``.  Raises: ConsentNotFound."""
        ...

    async def rename_consent(self, tenant: str, consent_id: str, name: str) -> ConsentRecord:
        """Raises: ConsentNotFound."""
        ...

    async def delete_consent(self, tenant: str, consent_id: str) -> None:
        """Raises: ConsentNotFound."""
        ...


@dataclass(frozen=True)
class Acknowledgements:
    """Which pods said that they acted on a change; names of pods, sorted."""

    acknowledged: tuple[str, ...] = ()
    expired: tuple[str, ...] = ()
    """Pods that died without saying goodbye: their memory went with them."""
    unconfirmed: tuple[str, ...] = ()
    """Pods that live and did not answer in time."""


ChangeListener = Callable[[VoiceChange], Awaitable[None]]
"""Acts on a change; when it returns, nothing of the old state is left on this pod, and the pod says so."""


class Fleet(Protocol):
    """All pods that share this registry."""

    def listen(self, listener: ChangeListener) -> None:
        """Calls ``listener`` for every change from now on, in order, those of this pod included."""
        ...

    async def acknowledged(self, entry: str, *, timeout_seconds: float) -> Acknowledgements:
        """Waits until every live pod has acted on a change; returns what is known when the time is up."""
        ...
