"""The stub engine itself: how does the server behave when a batch of n takes exactly a + b * n seconds?

It exists for tests and benchmarks and must be named in the settings to be had.  Its speech is a tone: the
frequency tells the voice, the length tells the text.  Markers in a text script what goes wrong (``faults``).
"""

from __future__ import annotations

import math
import time
import zlib
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, fields
from typing import Self, cast

import numpy as np

from timbre_server.domain.pcm import Array, Samples
from timbre_server.domain.speech import SpeechParameters
from timbre_server.domain.voice import Features, Reference
from timbre_server.engine.sentences import check_speakable, sentences
from timbre_server.engine.stub.faults import Fault, faults_in
from timbre_server.engine.stub.tone import LOUDNESS, SAMPLE_RATE_HZ, spoken_seconds, tone_of
from timbre_server.errors import AudioTooShort, ConfigurationError
from timbre_server.ports import EngineDescriptor, Piece, TensorSpec, Utterance

OPENAI_VOICES = (
    "alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse",
)  # fmt: skip
"""The built-in voices that OpenAI's API reference lists for ``POST /v1/audio/speech``."""

_FRAME_SECONDS = 0.02
_VOICED_RMS = 0.003
"""A 20 ms frame counts as voiced above about -50 dBFS: the noise floor of a quiet room is below it."""


@dataclass(eq=False, kw_only=True)
class StubEngine:
    """Waits S(n) = ``fixed_seconds`` + n * ``per_job_seconds`` for a batch of n and returns tones.

    The defaults are the service time behind which seven batching servers were compared.
    """

    fixed_seconds: float = 0.020
    per_job_seconds: float = 0.002
    per_longest_second_seconds: float = 0.0
    """Adds engine time per second of the longest speech in a batch, as autoregressive models need it."""
    encode_fixed_seconds: float = 0.020
    encode_per_reference_seconds: float = 0.030
    load_seconds: float = 0.0
    pieces: int = 1
    """Into how many pieces each job's speech is cut; they arrive evenly over S(n)."""
    max_cross_voice_batch: int = 16
    max_encode_batch: int = 4
    min_voiced_seconds: float = 3.0
    spectrum_bands: int = 16
    """Features hold this many float32 per second of reference: 3,328 gives 130 KiB for 10 s."""
    sleep: Callable[[float], None] = time.sleep
    batches: deque[tuple[str, ...]] = field(default_factory=lambda: deque(maxlen=10_000), init=False)
    """The texts of each batch that ran, the latest ones."""
    encodings: deque[tuple[str, ...]] = field(default_factory=lambda: deque(maxlen=10_000), init=False)
    """The digests of each batch of references that ran, the latest ones."""
    _broken: str | None = field(default=None, init=False)

    def __post_init__(self) -> None:
        self._presets = {name: _preset(number, self.spectrum_bands) for number, name in enumerate(OPENAI_VOICES)}

    @classmethod
    def from_options(cls, options: Mapping[str, object]) -> Self:
        """The engine as the settings' ``options`` describe it.

        Raises:
            ConfigurationError: an option is unknown, or no number of its kind.
        """
        defaults = {option.name: option.default for option in fields(cls) if isinstance(option.default, int | float)}
        for name, value in options.items():
            if name not in defaults:
                raise ConfigurationError(
                    f"the stub engine has no option {name!r}; it has {', '.join(sorted(defaults))}"
                )
            if not _fits(value, whole=isinstance(defaults[name], int)):
                raise ConfigurationError(
                    f"the stub engine's option {name!r} must be a number of its kind and not negative"
                )
        return cast("Callable[..., Self]", cls)(**options)

    @property
    def descriptor(self) -> EngineDescriptor:
        return EngineDescriptor(
            name="stub",
            model_id="stub",
            revision="1",
            encoder_id="stub-spectrum",
            encoder_config_hash=f"{zlib.crc32(repr((self.spectrum_bands, SAMPLE_RATE_HZ)).encode()):08x}",
            sample_rate_hz=SAMPLE_RATE_HZ,
            feature_spec={
                "spectrum": TensorSpec("float32", (None, self.spectrum_bands)),
                "tone_hz": TensorSpec("float32", (1,)),
            },
            feature_bytes_per_second=4.0 * self.spectrum_bands,
            max_cross_voice_batch=self.max_cross_voice_batch,
            max_encode_batch=self.max_encode_batch,
            streams=self.pieces > 1,
            languages=("en",),
            emotions=tuple(LOUDNESS),
            speed_range=(0.5, 2.0),
            pitch_range_semitones=(-12.0, 12.0),
            min_voiced_seconds=self.min_voiced_seconds,
            speech_config_hash="1",
        )

    def load(self) -> None:
        self._wait(self.load_seconds)

    def close(self) -> None:
        pass

    def split(self, text: str, language: str = "") -> Sequence[str]:
        check_speakable(text, language, self.descriptor.languages)
        return sentences(text)

    def encode(self, references: Sequence[Reference]) -> Sequence[Features]:
        self.encodings.append(tuple(reference.digest for reference in references))
        faults = [faults_in(reference.transcript) for reference in references]
        self._strike(faults, begun=False)
        seconds = self.encode_fixed_seconds + len(references) * self.encode_per_reference_seconds
        self._wait(seconds + _extra_seconds(faults))
        return [self._features(reference) for reference in references]

    def synthesize(self, batch: Sequence[Utterance], cancelled: Callable[[int], bool]) -> Iterator[Piece]:
        self.batches.append(tuple(job.text for job in batch))
        faults = [faults_in(job.text) for job in batch]
        self._strike(faults, begun=False)
        seconds = self._batch_seconds(batch) + _extra_seconds(faults)
        speech = [np.array_split(tone_of(job), self.pieces) for job in batch]
        unfinished = set(range(len(batch)))
        for turn in range(self.pieces):
            self._wait(seconds / self.pieces)
            for index in sorted(unfinished):
                last = turn == self.pieces - 1 or cancelled(index)
                if last:
                    unfinished.discard(index)
                yield Piece(index, speech[index][turn], last)
                self._strike(faults, begun=True)
            if not unfinished:
                return

    def preset_voices(self) -> Mapping[str, Features]:
        return self._presets

    def synthesis_cost_seconds(self, utterance_text: str, parameters: SpeechParameters) -> float:
        spoken = spoken_seconds(utterance_text, parameters) * self.per_longest_second_seconds
        return max(1e-6, self.fixed_seconds + self.per_job_seconds + spoken)

    def extraction_cost_seconds(self, reference_seconds: float) -> float:
        del reference_seconds  # the stub's extraction takes as long for any recording
        return max(1e-6, self.encode_fixed_seconds + self.encode_per_reference_seconds)

    def health(self) -> str | None:
        return self._broken

    def _batch_seconds(self, batch: Sequence[Utterance]) -> float:
        longest = max(spoken_seconds(job.text, job.parameters) for job in batch)
        return self.fixed_seconds + len(batch) * self.per_job_seconds + longest * self.per_longest_second_seconds

    def _wait(self, seconds: float) -> None:
        if seconds > 0.0:
            self.sleep(seconds)

    def _strike(self, faults: Sequence[Sequence[Fault]], *, begun: bool) -> None:
        for found in faults:
            for fault in found:
                if fault.word == "break":
                    self._broken = "the stub engine was told to break"
                fault.strike(len(faults), begun=begun)

    def _features(self, reference: Reference) -> Features:
        samples = reference.pcm.samples
        rate = reference.pcm.sample_rate_hz
        voiced_seconds = _voiced_seconds(samples, rate)
        if voiced_seconds < self.min_voiced_seconds:
            raise AudioTooShort(
                f"the recording holds {voiced_seconds:.1f} s of speech; at least {self.min_voiced_seconds:.1f} s are needed"
            )
        rows = [_bands(samples[start : start + rate], self.spectrum_bands) for start in range(0, len(samples), rate)]
        tone_hz = 120.0 + zlib.crc32(reference.digest.encode()) % 400
        return _frozen(spectrum=np.stack(rows), tone_hz=np.array([tone_hz], np.float32))


def _preset(number: int, bands: int) -> Features:
    spectrum = np.full((1, bands), number, np.float32)
    return _frozen(spectrum=spectrum, tone_hz=np.array([600.0 + 25.0 * number], np.float32))


def _extra_seconds(faults: Sequence[Sequence[Fault]]) -> float:
    return sum(fault.extra_seconds for found in faults for fault in found)


def _fits(value: object, *, whole: bool) -> bool:
    """Whether an option's value is a count of at least 1 (``whole``), or a time or size of at least 0."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return False
    return (isinstance(value, int) and value >= 1) if whole else 0.0 <= value < math.inf


def _frozen(**arrays: Array) -> Features:
    for array in arrays.values():
        array.flags.writeable = False
    return arrays


def _bands(samples: Samples, bands: int) -> Array:
    """Log magnitudes of equal bands, float32, shape [bands]; a band without a bin of its own is 0."""
    magnitudes = np.abs(np.fft.rfft(samples))
    sums = [float(part.sum()) for part in np.array_split(magnitudes, bands)]
    return np.array(np.log1p(sums), np.float32)


def _voiced_seconds(samples: Samples, rate: int) -> float:
    length = int(rate * _FRAME_SECONDS)
    frames = samples[: len(samples) // length * length].reshape(-1, length)
    voiced = np.sqrt(np.mean(frames.astype(np.float64) ** 2, axis=1)) > _VOICED_RMS
    return float(np.count_nonzero(voiced)) * _FRAME_SECONDS
