"""How does a voice disappear, everywhere, and who can say so?"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from timbre_server.domain.voice import VoiceRecord
from timbre_server.errors import StoreUnavailable
from timbre_server.ports import (
    Acknowledgements,
    ChangeKind,
    FeatureSource,
    Fleet,
    Heat,
    VoiceChange,
    VoiceStore,
)


@dataclass(frozen=True)
class ErasureReceipt:
    """What a deletion removed, and which pods said that their copies are gone."""

    voice: VoiceRecord
    """What was deleted."""
    erased_at: int
    """Unix time in seconds."""
    shared_features: int | None
    """Entries that were removed from the shared tier; None if it could not be reached."""
    pods: Acknowledgements

    @property
    def complete(self) -> bool:
        """Whether no copy is left that we know of."""
        return self.shared_features is not None and not self.pods.unconfirmed


class Erasure:
    """Deletes voices, and acts on deletions and replacements that were made on any pod, this one included."""

    def __init__(
        self,
        *,
        store: VoiceStore,
        features: FeatureSource,
        fleet: Fleet,
        heat: Heat | None = None,
        clock: Callable[[], float],
        timeout_seconds: float = 5.0,
    ) -> None:
        """``clock`` gives Unix time in seconds; a deletion waits ``timeout_seconds`` for the pods."""
        self._store = store
        self._features = features
        self._fleet = fleet
        self._heat = heat
        self._clock = clock
        self._timeout_seconds = timeout_seconds
        fleet.listen(self._changed)

    async def delete(self, tenant: str, voice_id: str) -> ErasureReceipt:
        """Erases the voice, its recording and its features, here and on every pod.  Raises: VoiceNotFound."""
        # Before and after: before, to count what there is before the other pods hear of it and remove it too; after,
        # because a pod that has not heard of it may have published in between.
        before = await self.forget_everywhere((await self._store.voice(tenant, voice_id)).digest)
        deletion = await self._store.delete_voice(tenant, voice_id)
        after = await self.forget_everywhere(deletion.record.digest)
        pods = await self._fleet.acknowledged(deletion.entry, timeout_seconds=self._timeout_seconds)
        shared = None if after is None else (before or 0) + after
        return ErasureReceipt(deletion.record, int(self._clock()), shared, pods)

    async def forget_everywhere(self, digest: str) -> int | None:
        """Removes features from this pod and the shared tier; how many there, None if it could not be reached."""
        try:
            return await self._features.erase(digest)
        except StoreUnavailable:
            return None  # their life time ends them

    async def _changed(self, change: VoiceChange) -> None:
        if change.kind is ChangeKind.DELETED:
            # Again, although the deleting pod did it: an extraction that ran here meanwhile may have been published.
            await self.forget_everywhere(change.digest)
            if self._heat is not None:  # on each pod: it may have counted uses that it has not sent yet
                self._heat.cooled(change.name)
            await self._features.unused(change.digest)
        elif change.previous_digest and change.previous_digest != change.digest:
            self._features.forget(change.previous_digest)
