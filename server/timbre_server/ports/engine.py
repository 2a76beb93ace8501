"""What does an engine promise, and the worker that owns it?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import NEUTRAL, SpeechParameters
from timbre_server.domain.voice import Features, Reference


class TensorSpec(NamedTuple):
    """Type and shape of one named array of a voice's features."""

    dtype: str
    """numpy's name of the type, as ``float32``; or ``bfloat16``, handed over as bit patterns in ``uint16``."""
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
    device: str = ""
    """Where features should lie, in torch's words (``cuda:0``, ``cpu``): the cache then keeps torch tensors there.
    Empty = numpy arrays in host memory."""
    uses_transcript: bool = False
    """Whether ``Reference.transcript`` changes the features."""
    speech_config_hash: str = ""
    """Changes whenever an equal text in an equal voice would sound different and neither model nor features say so: with
    the normaliser of texts, the prosody, the vocoder, and their settings."""


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
