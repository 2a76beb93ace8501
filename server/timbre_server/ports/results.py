"""What do the places promise that keep finished speech, and those that make it only once?"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple, Protocol

from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import AudioFormat, SpeechParameters
from timbre_server.ports.dispatch import RowTimings
from timbre_server.ports.features import Blob, Granted, Held, Taken


@dataclass(frozen=True)
class VoiceIdentity:
    """Which recording a request speaks with, as it was when the request asked."""

    preset: str = ""
    """Name of a built-in voice; empty for an enrolled one, which has all that follows."""
    digest: str = ""
    """``Reference.digest``."""
    generation: int = 0
    transcript: str = ""


@dataclass(frozen=True)
class Saying:
    """Who says what, and how: all that one engine makes speech from."""

    tenant: str
    voice: VoiceIdentity
    text: str
    parameters: SpeechParameters
    """As the engine was found to agree to them, but ``speed`` for the whole of request, engine and stretch."""


class Likeness(Protocol):
    """Which texts say so much the same that the speech of one may be heard for another?"""

    def __call__(self, text: str, language: str) -> str:
        """What all texts have in common that are like this one, in the language that a request named; empty: it is like none."""
        ...


class Outcome(StrEnum):
    """Where speech came from; the words of ``X-Cache``."""

    HIT = "hit"
    MISS = "miss"
    SIMILAR = "similar"
    """Said before of a text that says the same, but is written otherwise."""
    COALESCED = "coalesced"
    """Made for somebody else who asked for it at the same time, here or on another pod."""
    BYPASS = "bypass"
    """Nobody looked whether it was there."""


@dataclass(frozen=True)
class CacheWish:
    """What a request allows: the directives of its ``Cache-Control``."""

    keep: bool = True
    """Not ``no-store``."""
    reuse: bool = True
    """Not ``no-cache``: what is there may be heard instead of a new take."""
    only_kept: bool = False
    """``only-if-cached``."""
    max_age_seconds: float | None = None
    """``max-age``: what is older counts as not there."""


@dataclass
class SpeechTimings:
    """Where the time went, in seconds; grows while the speech is read."""

    voice_seconds: float = 0.0
    """Until the voice's features were there."""
    row: RowTimings = field(default_factory=RowTimings)


class Speaking(Protocol):
    """Speech that is being made, its first samples there; read ``samples`` once and then ``aclose``."""

    @property
    def sample_rate_hz(self) -> int: ...

    @property
    def voice_source(self) -> str:
        """The word of ``X-Voice-Cache``; empty where no voice was needed."""
        ...

    @property
    def timings(self) -> SpeechTimings: ...

    def samples(self) -> AsyncGenerator[Samples, None]:
        """All samples, in order, as they come; float32, shape [n], n > 0.  Raises: EngineError."""
        ...

    async def aclose(self) -> None:
        """Drops whatever has not been spoken yet, at once.  Idempotent."""
        ...


class Take(Speaking, Protocol):
    """Speech for one listener, perhaps heard by others too and kept: always from its beginning."""

    @property
    def outcome(self) -> Outcome: ...

    @property
    def id(self) -> str:
        """Tells this take of a text from all others; empty if nobody but this listener ever gets it."""
        ...

    @property
    def kept_as(self) -> ResultName | None:
        """Under what others find it once it is whole; None if nobody does."""
        ...

    @property
    def age_seconds(self) -> float | None:
        """Since it was made; None if it is made for this request or another one that runs."""
        ...

    @property
    def audio_seconds(self) -> float | None:
        """How long it plays; None while nobody knows."""
        ...

    def encoded(self, audio_format: AudioFormat) -> Sequence[Blob] | None:
        """The file in pieces, if it is at hand in that format and whole."""
        ...

    def keep_encoded(self, audio_format: AudioFormat, file: bytes, *, audio_seconds: float) -> None:
        """The whole file, for those who ask for this take in this format."""
        ...


Make = Callable[[], Awaitable["Making"]]
"""Makes speech, if nobody else does."""


class Making(Speaking, Protocol):
    """Speech that is made to be kept."""

    @property
    def as_asked(self) -> bool:
        """Whether it is of the very recording that the ``Saying`` names; else it must not be kept under its name."""
        ...


class Results(Protocol):
    """Finished speech, from the nearest place that has it, else made once for the whole fleet."""

    @property
    def erasures(self) -> int:
        """How many erasures this pod has seen: a point in their order."""
        ...

    def may_keep(self, text: str) -> bool:
        """Whether speech of that text may be kept at all, or looked for: not if it looks private."""
        ...

    def name(self, saying: Saying) -> ResultName:
        """Under what its speech is kept."""
        ...

    def at_hand(self, name: ResultName, audio_format: AudioFormat, wish: CacheWish) -> Take | None:
        """What this process can answer at once, whole and in that format."""
        ...

    async def find(self, name: ResultName, wish: CacheWish) -> Take | None:
        """What was said before, here or on another pod, whole: of this very text, else of one that is like it."""
        ...

    async def obtain(self, name: ResultName, make: Make, wish: CacheWish, *, erasures: int) -> Take:
        """The speech, once it has begun, for somebody who did not ``find`` it or wants a new take.

        ``make`` is called at most once, and only if it must be made here.  All who ask for the same share one synthesis,
        which goes on when the one who set it off leaves and ends when nobody is left.  ``erasures`` is the count as it was
        before the caller learnt of the voice: if anything was erased since, nothing is kept of what is made.  The caller
        calls ``aclose`` on what it gets.

        Raises: what ``make`` raises.
        """
        ...

    def forget(self, digest: str) -> None:
        """Drops this pod's copies of all speech of a recording; who listens now hears it to its end."""
        ...

    async def erase(self, digest: str) -> int:
        """Removes all speech of a recording from this pod, as ``forget``, and from where it is shared; how many there.

        Raises:
            StoreUnavailable: this pod's copies are gone, the shared ones may not be.
        """
        ...

    async def unused(self, digest: str) -> None:
        """Returns when nobody listens any more to speech of that recording that was forgotten."""
        ...


class ResultName(NamedTuple):
    """Under what finished speech is shared."""

    key: str
    """64 hex digits over all that changes the waveform."""
    digest: str
    """Of the recording that speaks, so that its erasure finds the speech; empty for a built-in voice."""
    likeness: str = ""
    """The same as ``key`` for all texts that are like this one; empty where nobody looks for those."""


class Standing(StrEnum):
    """What has become of a lease."""

    LOST = "lost"
    OURS = "ours"
    AWAITED = "awaited"
    """Ours, and other pods wait for what comes of it."""


class ResultLeases(Protocol):
    """The right to make finished speech, which one pod has at a time.

    Every method raises ``StoreUnavailable`` when the place cannot be reached within its budget.
    """

    async def claim(self, name: ResultName) -> Held | Granted | Taken:
        """The right to make it, or who else has that right and from now on knows that somebody waits; or the blob itself,
        where that lies in the same place."""
        ...

    async def renew(self, name: ResultName, token: str) -> Standing:
        """Prolongs a lease, and tells whether others wait."""
        ...

    async def abandon(self, name: ResultName, token: str) -> bool:
        """Ends the lease without a result and wakes those who wait; whether it still was the caller's."""
        ...

    async def retaken(self, name: ResultName) -> None:
        """Tells all pods that there is a new take, so that none goes on with a copy of the old one; it may be lost."""
        ...

    async def news(self, name: ResultName, *, timeout_seconds: float) -> None:
        """Returns when a claim on that name was resolved anywhere, or when the time is up."""
        ...

    async def erase(self, digest: str) -> int:
        """Takes the leases on all speech of a recording away, so that what is made now cannot be published; how many blobs
        went with them, where those lie in the same place."""
        ...

    async def close(self) -> None:
        """Gives back what it holds.  Idempotent."""
        ...


class SharedResults(ResultLeases, Protocol):
    """Finished speech as bytes that all pods see, and the right to make it.

    A cache: everything in it may vanish at any time.  What is there ends by itself after a fixed time, however often it
    is heard.
    """

    async def get(self, name: ResultName) -> Blob | None:
        """The blob, or None."""
        ...

    async def publish(self, name: ResultName, blob: bytes, token: str | None) -> bool:
        """Stores the blob, ends the lease and wakes those who wait; False if the lease was lost, and nothing stored.

        Without a token it is stored whatever is there: a new take replaces the old one.
        """
        ...


class ResultFiles(Protocol):
    """Finished speech as bytes in a place that knows nothing of leases, as a volume or a bucket.

    A cache, as ``SharedResults``, and with the same error.
    """

    async def get(self, name: ResultName) -> Blob | None:
        """The blob, or None; never a part of one."""
        ...

    async def put(self, name: ResultName, blob: bytes) -> None:
        """Stores it, whatever is there."""
        ...

    async def remove(self, name: ResultName) -> None:
        """Removes one, if it is there."""
        ...

    async def erase(self, digest: str) -> int:
        """Removes all blobs of a recording; how many."""
        ...

    async def close(self) -> None:
        """Gives back what it holds.  Idempotent."""
        ...


class SealedLink(NamedTuple):
    """What a link says, so that nobody else can read it."""

    hidden: bytes
    proof: bytes
    """That neither this nor what is said beside it was changed."""


class LinkCipher(Protocol):
    """Makes what links say unreadable, with keys that all pods of a service share."""

    def seal(self, content: bytes, *beside: bytes) -> SealedLink:
        """``content`` hidden, and proved along with what is said ``beside`` it in clear; of equal arguments the same."""
        ...

    def open(self, sealed: SealedLink, *beside: bytes) -> bytes | None:
        """What was sealed, in the same order of all; None if it was not, or anything of it was changed."""
        ...
