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
    Results,
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
    shared_results: int | None
    """Finished speeches that were removed from where pods share them; None if that could not be reached."""
    pods: Acknowledgements

    @property
    def complete(self) -> bool:
        """Whether no copy is left that we know of."""
        return None not in {self.shared_features, self.shared_results} and not self.pods.unconfirmed


@dataclass(frozen=True)
class Forgotten:
    """How many entries of a recording were removed from where pods share them; None where that could not be reached."""

    features: int | None
    results: int | None


class Erasure:
    """Deletes voices, and acts on deletions and replacements that were made on any pod, this one included."""

    def __init__(
        self,
        *,
        store: VoiceStore,
        features: FeatureSource,
        results: Results | None = None,
        fleet: Fleet,
        heat: Heat | None = None,
        clock: Callable[[], float],
        timeout_seconds: float = 5.0,
    ) -> None:
        """``clock`` gives Unix time in seconds; a deletion waits ``timeout_seconds`` for the pods."""
        self._store = store
        self._features = features
        self._results = results
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
        return ErasureReceipt(
            deletion.record,
            int(self._clock()),
            shared_features=_both(before.features, after.features),
            shared_results=_both(before.results, after.results),
            pods=pods,
        )

    async def forget_everywhere(self, digest: str) -> Forgotten:
        """Removes features and finished speech of a recording from this pod and from where pods share them."""
        features = await _erased(self._features, digest)
        return Forgotten(features, 0 if self._results is None else await _erased(self._results, digest))

    async def _changed(self, change: VoiceChange) -> None:
        if change.kind is ChangeKind.DELETED:
            # Again, although the deleting pod did it: an extraction that ran here meanwhile may have been published.
            await self.forget_everywhere(change.digest)
            if self._heat is not None:  # on each pod: it may have counted uses that it has not sent yet
                self._heat.cooled(change.name)
            await self._features.unused(change.digest)
            if self._results is not None:
                await self._results.unused(change.digest)
        elif change.previous_digest and change.previous_digest != change.digest:
            # Again, as above: nobody would find it any more, and a later deletion erases the present recording only.
            await self.forget_everywhere(change.previous_digest)


async def _erased(cache: FeatureSource | Results, digest: str) -> int | None:
    try:
        return await cache.erase(digest)
    except StoreUnavailable:
        return None  # their life time ends them


def _both(before: int | None, after: int | None) -> int | None:
    """None if nobody knows what is left now."""
    return None if after is None else (before or 0) + after
