"""The embedded engine as the port sees it: jobs in, pieces of speech out."""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType, ModuleType
from typing import Final

import numpy as np

from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import SpeechParameters
from timbre_server.domain.voice import Features, Reference
from timbre_server.engine.embedded import (
    acoustic,
    analysis,
    baseline,
    conversion,
    envelope,
    extraction,
    frames,
    pitch,
    presets,
    prosody,
    script,
    speech,
    spikes,
    tempo,
    text,
    vocoder,
)
from timbre_server.engine.embedded.acoustic import AcousticModel
from timbre_server.engine.embedded.baseline import Baseline
from timbre_server.engine.embedded.frames import SAMPLE_RATE_HZ
from timbre_server.engine.embedded.script import LANGUAGES
from timbre_server.engine.speaker import SpeakerEncoder, encoder
from timbre_server.errors import ConfigurationError, EngineError, EngineOutOfMemory
from timbre_server.ports import EngineDescriptor, Piece, SpeakerVerifier, Utterance

SPEED_RANGE: Final = (0.5, 2.0)
PITCH_RANGE_SEMITONES: Final = (-12.0, 12.0)
"""An octave each way; the vocoder bounds F0 at 55 and 500 Hz in any case."""
MAX_BATCH: Final = 4
"""On a CPU a batch costs the sum of its jobs: it only lets four voices begin at once."""

# Measured with benchmarks/embedded_engine.py's engine on one core of a 2-core cloud machine: 4.8 ms per job and
# 0.28 ms per character at speed 1; 65 ms per extraction and 9 ms per second of reference.  A digit takes 1.7 ms on
# its own or in a year and 2.9 ms in a long number; a sign that is spoken 1.5 to 3.8 ms, but 4 to 6 ms for six of
# Latin-1's, as ±.  A quarter in reserve, over the dearest digit.
_SECONDS_PER_JOB: Final = 0.006
_SECONDS_PER_CHARACTER: Final = 0.00035
_SECONDS_PER_SPOKEN_SIGN: Final = 0.0036
_SECONDS_PER_EXTRACTION: Final = 0.08
_SECONDS_PER_REFERENCE_SECOND: Final = 0.011
_SPOKEN_SIGNS: Final = dict.fromkeys(map(ord, "0123456789#$%+/<=>^~¢£¥€§©°±²³µ¶¹×÷¼½¾⁴①"))  # noqa: RUF001 - the multiplication sign
"""Digits and the signs of which each alone took over 1 ms, or stands for a word beside a number: as a table for
``str.translate``, which takes them out."""

_MEASURING: Final = (acoustic, analysis, baseline, conversion, envelope, extraction, frames, pitch, spikes, vocoder)
"""The modules whose constants move a feature; ``extraction.EXTRACTOR`` stands for their code."""
_SPEAKING: Final = (text, script, prosody, presets, tempo, conversion, envelope, frames, pitch, vocoder)
"""The modules whose constants change how an equal text sounds in an equal voice; ``SPEAKER`` stands for their code."""
SPEAKER: Final = 1
"""Counted up with every change of this package's code after which an equal text sounds different."""


@dataclass(frozen=True, eq=False)
class _Loaded:
    """What exists between ``load`` and ``close``."""

    model: AcousticModel
    base: Baseline
    verifier: SpeakerVerifier
    preset_voices: Mapping[str, Features]


class EmbeddedEngine:
    """``ports.Engine`` on hibari's base voice.

    ``options`` may hold ``threads``, the threads of one model run: 1 by default, because a second one shortens a
    sentence little and takes the core on which requests are parsed and audio is encoded.
    """

    def __init__(self, options: Mapping[str, object] = MappingProxyType({})) -> None:
        unknown = sorted(set(options) - {"threads"})
        threads = options.get("threads", 1)
        if unknown:
            raise ConfigurationError(f"The embedded engine has no option {unknown[0]!r}; it has: threads.")
        if not isinstance(threads, int) or isinstance(threads, bool) or threads < 1:
            raise ConfigurationError("The embedded engine's option threads is a whole number from 1 on.")
        self._threads = threads
        self._loaded: _Loaded | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, object]) -> EmbeddedEngine:
        """As the constructor: what the settings call for every engine."""
        return cls(options)

    @functools.cached_property
    def descriptor(self) -> EngineDescriptor:
        return EngineDescriptor(
            name="embedded",
            model_id=acoustic.PACKAGE,
            revision=acoustic.REVISION,
            encoder_id="mean-envelope",
            encoder_config_hash=_encoder_config_hash(),
            sample_rate_hz=SAMPLE_RATE_HZ,
            feature_spec=extraction.FEATURE_SPEC,
            feature_bytes_per_second=extraction.BYTES_PER_SECOND,
            max_cross_voice_batch=MAX_BATCH,
            max_batch_size=MAX_BATCH,
            max_encode_batch=1,
            streams=True,
            languages=LANGUAGES,
            emotions=tuple(prosody.EMOTIONS),
            speed_range=SPEED_RANGE,
            pitch_range_semitones=PITCH_RANGE_SEMITONES,
            min_voiced_seconds=extraction.MIN_VOICED_SECONDS,
            speech_config_hash=_speech_config_hash(),
        )

    def load(self) -> None:
        model = AcousticModel.load(self._threads)
        base = baseline.measure(model)
        verifier = SpeakerEncoder.load(self._threads)
        self._loaded = _Loaded(model, base, verifier, presets.preset_voices(base))

    def close(self) -> None:
        self._loaded = None

    def split(self, text_to_say: str, language: str = "") -> Sequence[str]:
        return text.split(text_to_say, language)

    def encode(self, references: Sequence[Reference]) -> Sequence[Features]:
        ready = self._ready()
        with _memory_errors():
            return [extraction.extract(_samples(each), ready.base, ready.verifier) for each in references]

    def synthesize(self, batch: Sequence[Utterance], cancelled: Callable[[int], bool]) -> Iterator[Piece]:
        """The jobs take turns, a stretch of speech each; a job's last piece is the pause behind it."""
        ready = self._ready()
        speaking = {index: speech.speak(job, ready.model, ready.base) for index, job in enumerate(batch)}
        while speaking:
            for index in list(speaking):
                gone = cancelled(index)
                with _memory_errors():
                    stretch = None if gone else next(speaking[index], None)
                if stretch is not None:
                    yield Piece(index, stretch, last=False)
                    continue
                del speaking[index]
                yield Piece(index, speech.silence(0) if gone else speech.pause_after(batch[index]), last=True)

    def preset_voices(self) -> Mapping[str, Features]:
        return self._ready().preset_voices

    def synthesis_cost_seconds(self, utterance_text: str, parameters: SpeechParameters) -> float:
        plain = len(utterance_text.translate(_SPOKEN_SIGNS))
        spoken = len(utterance_text) - plain
        speaking_seconds = _SECONDS_PER_CHARACTER * plain + _SECONDS_PER_SPOKEN_SIGN * spoken
        return _SECONDS_PER_JOB + speaking_seconds / parameters.speed

    def extraction_cost_seconds(self, reference_seconds: float) -> float:
        return _SECONDS_PER_EXTRACTION + _SECONDS_PER_REFERENCE_SECOND * reference_seconds

    def health(self) -> str | None:
        return None if self._loaded else "The embedded engine is not loaded."

    def _ready(self) -> _Loaded:
        if self._loaded is None:
            raise EngineError("The embedded engine is not loaded.")
        return self._loaded


@contextmanager
def _memory_errors() -> Iterator[None]:
    """Raises: EngineOutOfMemory: numpy had no memory for an array."""
    try:
        yield
    except MemoryError as error:
        raise EngineOutOfMemory("No memory was left for this job.") from error


def _samples(reference: Reference) -> Samples:
    assert reference.pcm.sample_rate_hz == SAMPLE_RATE_HZ, "references are canonical PCM"
    return np.asarray(reference.pcm.samples, np.float32)


def _encoder_config_hash() -> str:
    """Over what moves a feature: every constant of the measurement, the base voice, and the speaker encoder."""
    digest = hashlib.sha256()
    for module in (*_MEASURING, encoder):
        digest.update(_constants(module))
    digest.update(Path(encoder.__file__).with_name("encoder.onnx").read_bytes())
    return digest.hexdigest()


def _speech_config_hash() -> str:
    """Over what changes how a text sounds and is in no feature."""
    digest = hashlib.sha256(repr(SPEAKER).encode())
    for module in _SPEAKING:
        digest.update(_constants(module))
    return digest.hexdigest()


def _constants(module: ModuleType) -> bytes:
    plain = {name: value for name, value in vars(module).items() if name.isupper() and _is_plain(value)}
    return repr((module.__name__, sorted(plain.items()))).encode()


def _is_plain(value: object) -> bool:
    """Whether equal values print equally in every process."""
    return isinstance(value, (int, float, str)) or (isinstance(value, tuple) and all(map(_is_plain, value)))
