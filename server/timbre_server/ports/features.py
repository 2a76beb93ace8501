"""What do the places promise that keep voice features?"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Protocol

from timbre_server.domain.voice import Features, Reference
from timbre_server.ports.voices import VoiceName


def _nothing() -> None:
    pass


def _unheard(_count: int) -> None:
    pass


@dataclass(frozen=True, eq=False)
class FoundFeatures:
    """Features in use, with the place that they came from; whoever gets them calls ``release`` once, when done."""

    features: Features
    """One object per voice and generation for as long as a tier keeps it: equal objects may share a batch."""
    source: str
    """``device``, ``host``, ``redis`` or ``extracted``: the words of ``X-Voice-Cache``."""
    release: Callable[[], None] = _nothing
    """Ends the use; until then the memory behind ``features`` is not given to another voice.  Idempotent."""


@dataclass(frozen=True)
class FeatureName:
    """Whose features: what a recording's look-up in every tier needs."""

    digest: str
    """``Reference.digest``."""
    transcript: str = ""


LoadReference = Callable[[], Awaitable[Reference]]


class FeatureSource(Protocol):
    """Features of a recording, from the nearest tier that has them, else extracted once for the whole fleet."""

    @property
    def erasures(self) -> int:
        """How many erasures this pod has seen: a point in their order, for ``features``."""
        ...

    async def features(
        self, name: FeatureName, load: LoadReference, *, erasures: int | None = None, one_off: bool = False
    ) -> FoundFeatures:
        """Features for a recording; ``load`` is called only if they must be extracted here.

        Concurrent callers of one recording share one look-up and one extraction; one who is cancelled does not stop it
        for the others.  ``erasures`` is the count as it was when the caller learnt of the recording: if it was erased
        since, the caller still gets its features, but they are kept nowhere.  ``one_off``: a recording that came with
        its request and will probably not come again.

        Raises:
            AudioTooShort, EngineError: as ``Engine.encode``; a failure is remembered for a moment by all pods.
        """
        ...

    async def prepare(self, name: FeatureName, load: LoadReference) -> None:
        """Sees to it that the features are here, and in the shared tier where there is one, for whoever speaks next.

        As ``features``, but nobody speaks yet: it is no look-up, so no hit rate knows of it.

        Raises: as ``features``.
        """
        ...

    async def prefetch(self, names: Sequence[FeatureName], *, told: Callable[[int], None] = _unheard) -> int:
        """Takes into memory what the shared tier has of these, hottest first, until the budget is full; how many.

        ``told`` hears now and then how many they are so far.
        """
        ...

    def forget(self, digest: str) -> None:
        """Drops this pod's copies of a recording's features; those in use end with their last user."""
        ...

    async def erase(self, digest: str) -> int:
        """Removes a recording's features from this pod, as ``forget``, and from the shared tier.

        Returns how many entries of the shared tier were removed.  An extraction that is running is not kept.

        Raises:
            StoreUnavailable: this pod's copies are gone, the shared ones may not be.
        """
        ...

    async def unused(self, digest: str) -> None:
        """Returns when no request of this pod uses features of that recording any more that were forgotten."""
        ...


Blob = bytes | bytearray | memoryview
"""Encoded features as they came from the wire; nobody writes into them."""

Room = Callable[[int], memoryview | None]
"""Lends memory of that many bytes to receive a value into; it is the value's until nothing refers to it.  None: there is none."""


@dataclass(frozen=True)
class Held:
    """The shared tier has the features."""

    blob: bytes


@dataclass(frozen=True)
class Granted:
    """The caller shall extract, renew the lease in time, and ``publish``, ``fail`` or ``abandon``."""

    token: str
    """Fences: a write with a token that is not the current one is refused."""
    lease_seconds: float


@dataclass(frozen=True)
class Taken:
    """Another pod extracts."""

    expires_seconds: float
    """When its lease ends unless it renews it."""


@dataclass(frozen=True)
class Failed:
    """The extraction failed a moment ago, and would again."""

    code: str
    """``TimbreError.code``."""
    message: str


Claim = Held | Granted | Taken | Failed


class SharedFeatures(Protocol):
    """Encoded features that all pods see; ``digest`` is the recording's, ``key`` that of its features.

    A cache: everything in it may vanish at any time.  Every method raises ``StoreUnavailable`` when the server cannot be
    reached within its budget.
    """

    async def get(self, digest: str, key: str, *, room: Room | None = None) -> Blob | None:
        """The blob, in a ``room`` if there is one, and its life prolonged; or None."""
        ...

    async def get_many(
        self,
        wanted: Iterable[tuple[str, str]],
        *,
        arrived: Callable[[int, Blob], None] | None = None,
        room: Room | None = None,
    ) -> Sequence[Blob | None]:
        """Blobs of (digest, key) pairs in their order, in one round trip per server; ``room`` as in ``get``.

        Pairs are taken one by one as they are asked for.

        ``arrived`` gets the place and the blob of each as soon as it is there, while the others are on their way.  It
        must be quick and not raise, and may be told of one place twice; what it was told of stays true if the rest fails.
        """
        ...

    async def claim(self, digest: str, key: str) -> Claim:
        """The blob, or the right to make it, or who else has that right, or why it cannot be made."""
        ...

    async def renew(self, digest: str, token: str) -> bool:
        """Prolongs a lease; False if it was lost."""
        ...

    async def publish(self, digest: str, key: str, blob: bytes, token: str) -> bool:
        """Stores the blob, ends the lease and wakes those who wait; False if the lease was lost, and nothing stored."""
        ...

    async def fail(self, digest: str, key: str, failure: Failed, token: str) -> None:
        """Ends the lease, remembers the failure briefly and wakes those who wait."""
        ...

    async def abandon(self, digest: str, token: str) -> None:
        """Ends the lease without a result and wakes those who wait."""
        ...

    async def news(self, digest: str, *, timeout_seconds: float) -> None:
        """Returns when a claim on that recording was resolved anywhere, or when the time is up."""
        ...

    async def erase(self, digest: str) -> int:
        """Removes all blobs of a recording and its lease, so that who extracts it now cannot publish; how many blobs."""
        ...

    async def close(self) -> None:
        """Gives back what it holds of the way to the server.  Idempotent."""
        ...


class Heat(Protocol):
    """How popular each voice is, over all pods, recent uses counting more."""

    def used(self, name: VoiceName) -> None:
        """Counts one use, at no I/O."""
        ...

    async def hottest(self, count: int) -> Sequence[VoiceName]:
        """The most popular voices, hottest first.  Raises: StoreUnavailable."""
        ...

    def cooled(self, name: VoiceName) -> None:
        """Forgets a voice that was deleted."""
        ...
