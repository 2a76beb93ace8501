"""The seams: what does each inner part promise to those who use it?

A contract (effect, shape, error) is written once here; adapters are short and silent, are imported by the
composition root only, and pass one conformance suite per port.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from timbre_server.domain.pcm import Pcm, Samples
from timbre_server.domain.speech import NEUTRAL, SpeechParameters
from timbre_server.domain.voice import ConsentRecord, Features, Reference, VoiceRecord


@dataclass(frozen=True)
class TensorSpec:
    """Type and shape of one named array of a voice's features."""

    dtype: str
    """numpy's name of the type, as ``float32``."""
    dims: tuple[int | None, ...]
    """Sizes; ``None`` where the size follows the length of the reference."""


@dataclass(frozen=True)
class EngineDescriptor:
    """What an engine is and can do; every part that changes an extraction is in the feature key."""

    name: str
    """The word of ``TIMBRE_ENGINE__NAME``."""
    model_id: str
    revision: str
    encoder_id: str
    encoder_config_hash: str
    """Changes whenever an equal reference would give other features."""
    sample_rate_hz: int
    """Rate of the speech that ``synthesize`` returns."""
    feature_spec: Mapping[str, TensorSpec]
    feature_bytes_per_second: float
    """Bytes of features per second of reference, for planning a cache."""
    max_cross_voice_batch: int = 1
    """How many jobs of different voices one ``synthesize`` call may hold; 1 is a legal answer."""
    max_batch_size: int | None = None
    """How many jobs one ``synthesize`` call may hold at all; ``None`` = as many as the settings allow."""
    max_encode_batch: int = 1
    """How many references one ``encode`` call may hold."""
    streams: bool = False
    """Whether pieces of a job arrive before the job is done."""
    languages: tuple[str, ...] = ("en",)
    """BCP 47 primary languages."""
    emotions: tuple[str, ...] = (NEUTRAL,)
    speed_range: tuple[float, float] = (1.0, 1.0)
    """Slowest and fastest ``speed`` that the engine honours itself."""
    pitch_range_semitones: tuple[float, float] = (0.0, 0.0)
    min_voiced_seconds: float = 3.0
    """Least voiced speech that a reference must hold."""
    uses_transcript: bool = False
    """Whether ``Reference.transcript`` changes the features."""


@dataclass(frozen=True, eq=False)
class Utterance:
    """One job of the engine: a sentence in a voice."""

    text: str
    """One item of ``Engine.split``."""
    features: Features
    parameters: SpeechParameters = field(default_factory=SpeechParameters)


@dataclass(frozen=True, eq=False)
class Piece:
    """A stretch of speech of one job of a batch; the pieces of a job arrive in order."""

    index: int
    """Which job of the batch."""
    samples: Samples
    """float32, shape [n], n may be 0, at the descriptor's rate, within [-1, 1]."""
    last: bool
    """True on exactly one piece of each job, its final one."""


class Engine(Protocol):
    """Turns (text, voice features, parameters) into PCM, and reference audio into voice features.

    Synchronous, and called by one thread only, its owner (``EngineWorker``), except for ``descriptor``,
    ``split``, ``preset_voices``, the cost methods and ``health``, which any thread may call once ``load``
    has returned.  Equal input and seed give equal output.  What ``synthesize`` returns for a job does not
    depend on the other jobs of its batch.
    """

    @property
    def descriptor(self) -> EngineDescriptor:
        """Known before ``load``."""
        ...

    def load(self) -> None:
        """Makes the engine ready, models read and first call paid for.

        Raises:
            ConfigurationError: it can never work here (a missing package, model or device).
            EngineError: it failed to start.
        """
        ...

    def close(self) -> None:
        """Frees everything; no call follows."""
        ...

    def split(self, text: str, language: str = "") -> Sequence[str]:
        """The text as jobs in order, cheaply (well under 1 ms per 1,000 characters): sentences, the long ones cut again.

        Any length of text is legal, and each item bounded.  Joined, the items say the whole text.

        Raises:
            UnspeakableText: nothing in it can be pronounced.
            UnsupportedLanguage: it needs a language that the engine does not speak.
        """
        ...

    def encode(self, references: Sequence[Reference]) -> Sequence[Features]:
        """The features of each reference, in order; arrays match ``feature_spec`` and are read-only.

        Raises:
            AudioTooShort: less voiced speech than ``min_voiced_seconds``.
            EngineOutOfMemory: no memory for this batch; a smaller one may work.
            EngineError: anything else; of a batch, one reference may be the cause.
        """
        ...

    def synthesize(self, batch: Sequence[Utterance], cancelled: Callable[[int], bool]) -> Iterator[Piece]:
        """Speaks all jobs of the batch; pieces of different jobs may interleave.

        ``cancelled(i)`` is asked between pieces, and from where it says yes, job ``i`` may end early
        (its ``last`` piece still comes).  Every job gets exactly one ``last`` piece, or an error is raised.

        Raises:
            EngineOutOfMemory: no memory for this batch; a smaller one may work.
            EngineError: anything else; of a batch, one job may be the cause.
        """
        ...

    def preset_voices(self) -> Mapping[str, Features]:
        """Features of the built-in voices by OpenAI's names (``alloy`` and so on); empty if it has no base voice."""
        ...

    def synthesis_cost_seconds(self, utterance_text: str, parameters: SpeechParameters) -> float:
        """Predicted engine time of one job on its own, in seconds, > 0, in microseconds of work."""
        ...

    def extraction_cost_seconds(self, reference_seconds: float) -> float:
        """Predicted engine time of one extraction, in seconds, > 0."""
        ...

    def health(self) -> str | None:
        """None while all is well, else one sentence that says what is broken for good."""
        ...


class EngineWorker(Protocol):
    """The engine as the event loop sees it: one owner runs one call after another, off the loop.

    An error of the engine reaches the awaiting caller, and the worker lives on.
    """

    @property
    def descriptor(self) -> EngineDescriptor: ...

    @property
    def engine(self) -> Engine:
        """For the calls that any thread may make."""
        ...

    async def start(self) -> None:
        """Loads the engine.  Raises what ``Engine.load`` raises."""
        ...

    async def encode(self, references: Sequence[Reference]) -> Sequence[Features]:
        """As ``Engine.encode``."""
        ...

    def synthesize(self, batch: Sequence[Utterance], cancelled: Callable[[int], bool]) -> AsyncIterator[Piece]:
        """As ``Engine.synthesize``; each piece arrives as soon as the engine has made it.

        Closing the iterator early makes the engine stop at its next piece.
        """
        ...

    def health(self) -> str | None:
        """As ``Engine.health``; also says when the worker itself has died."""
        ...

    async def stop(self) -> None:
        """Ends the owner after its current call and closes the engine.  Idempotent."""
        ...


class Permit(Protocol):
    """A place in the queue, paid in predicted seconds; freed once by ``release`` (idempotent)."""

    def release(self) -> None: ...


@dataclass
class RowTimings:
    """Where a request's time went, in seconds; filled while it runs, for ``Server-Timing``."""

    queue_seconds: float = 0.0
    """From submission to the start of the batch that held its first job."""
    synthesis_seconds: float = 0.0
    """Engine time of the batches that held its jobs, each counted whole."""


class Dispatcher(Protocol):
    """The one queue before the engine: batches jobs of all requests, in an order that keeps first audio early."""

    def admit(self, cost_seconds: float) -> Permit:
        """A permit, taken at the door before any work.

        Raises:
            Overloaded: with it, more predicted seconds would be pending than allowed.
            EngineStopped: the engine is gone for good.
        """
        ...

    def speak(
        self, row: Sequence[Utterance], *, permit: Permit, timings: RowTimings | None = None
    ) -> AsyncIterator[Samples]:
        """The speech of all jobs of a request, in order, piece by piece as they come.

        The permit is released as the work gets done, and wholly when the iterator ends or is closed.
        Closing the iterator (``aclose``) drops what has not run yet before it costs anything.

        Raises:
            EngineError: a job of this row failed, alone.
        """
        ...

    async def extract(self, reference: Reference) -> Features:
        """The features of a voice, extracted on the engine between batches of speech.

        Raises:
            AudioTooShort, EngineError: as ``Engine.encode``.
        """
        ...

    @property
    def pending_requests(self) -> int: ...

    @property
    def pending_work_seconds(self) -> float: ...


@dataclass(frozen=True)
class FoundFeatures:
    """Features with the place that they came from."""

    features: Features
    source: str
    """``device``, ``host``, ``redis`` or ``extracted``: the words of ``X-Voice-Cache``."""


class FeatureSource(Protocol):
    """Features of a reference, from the nearest tier that has them, else extracted once."""

    async def features(self, digest: str, load: Callable[[], Reference], *, transcript: str = "") -> FoundFeatures:
        """Features for the reference of that digest; ``load`` decodes it and is called (in a thread) only on a miss.

        Concurrent callers of one digest share one extraction; one who is cancelled does not stop it for the others.

        Raises:
            AudioTooShort, EngineError: as ``Engine.encode``.
        """
        ...

    def forget(self, digest: str) -> None:
        """Drops what is held for a digest."""
        ...


class VoiceStore(Protocol):
    """The registry of voices and consents.  Every write is atomic; a tenant sees only its own."""

    async def add_voice(self, voice: VoiceRecord) -> VoiceRecord:
        """Stores a new voice (its generation is 1).  Raises: RegistryFull."""
        ...

    async def replace_voice(self, voice: VoiceRecord) -> VoiceRecord:
        """Stores a new recording under an existing id and returns it with the next generation; ``created_at`` stays.

        Raises: VoiceNotFound.
        """
        ...

    async def voice(self, tenant: str, voice_id: str) -> VoiceRecord:
        """Raises: VoiceNotFound."""
        ...

    async def voices(self, tenant: str, *, after: str | None, limit: int) -> tuple[Sequence[VoiceRecord], bool]:
        """A page in order of creation, newest first, from behind the id ``after``; and whether more follow.

        Raises: VoiceNotFound: ``after`` names no voice.
        """
        ...

    async def delete_voice(self, tenant: str, voice_id: str) -> VoiceRecord:
        """Erases the voice and returns what it was; its generation is remembered, so that the id never goes back.

        Raises: VoiceNotFound.
        """
        ...

    async def add_consent(self, consent: ConsentRecord) -> None: ...

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


class SpeakerVerifier(Protocol):
    """Tells whether two recordings are of one speaker."""

    @property
    def threshold(self) -> float:
        """Cosine at and above which two recordings count as one speaker."""
        ...

    def embed(self, pcm: Pcm) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        """A unit vector for the voice, float32, shape [256]; thread-safe, 0.1 to 0.3 s of CPU per 10 s of speech."""
        ...
