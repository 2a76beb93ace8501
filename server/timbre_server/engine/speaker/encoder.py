"""How alike are two voices? The speaker encoder: Resemblyzer's LSTM in onnxruntime, behind ``ports.SpeakerVerifier``.

References: Wan et al., "Generalized End-to-End Loss for Speaker Verification" (2018); Resemblyzer 0.1.4
``voice_encoder.py`` for the cutting into partials and their mean.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import soxr
from numpy.typing import NDArray

from timbre_server.domain.pcm import Pcm, Samples
from timbre_server.engine.speaker import mel, silence
from timbre_server.errors import AudioSilent

EMBEDDING_SIZE: Final = 256
THRESHOLD: Final = 0.75
"""Cosine at and above which two recordings count as one speaker (docs/decisions/0002-speaker-match.md)."""

# Resemblyzer: partials of 160 frames (1.6 s), 1.3 of them per second, the last one kept from 75 % coverage on.
PARTIAL_FRAMES: Final = 160
PARTIAL_STEP_FRAMES: Final = 77
LAST_COVERAGE: Final = 0.75

BATCH: Final = 8
"""Partials per run of the model, 6 s of speech: measured, 16 take twice the memory (110 MB for 57) and save no time."""

LEVEL_DBFS: Final = -30.0
"""Root mean square level at which every voice is heard: the model knows power, not its logarithm.

Resemblyzer raises quieter recordings to this level and leaves louder ones alone; setting it both ways measured
half the errors (docs/decisions/0002-speaker-match.md).
"""

FRONT_END: Final = 1
"""Counted up with every change of code in this package that moves an embedding."""

_FRONT_END_CONSTANTS: Final = (
    FRONT_END,
    LEVEL_DBFS,
    (silence.WINDOW, silence.SMOOTHING_WINDOWS, silence.WIDENING_WINDOWS, silence.GATE_DB),
    (mel.SAMPLE_RATE_HZ, mel.WINDOW, mel.HOP, mel.BANDS),
    (mel.NOISE_PERCENTILE, mel.NOISE_FACTOR, mel.NOISE_KEPT),
    (PARTIAL_FRAMES, PARTIAL_STEP_FRAMES, LAST_COVERAGE),
)

# Below -90 dBFS root mean square there is no more than the noise of 16 bits.
_SILENT_POWER: Final = 1e-9
_MODEL: Final = Path(__file__).with_name("encoder.onnx")


class SpeakerEncoder:
    """Embeds recordings of any sample rate; one instance serves all threads."""

    def __init__(self, session: Any, config_hash: str) -> None:
        self._session = session
        self._config_hash = config_hash

    @classmethod
    def load(cls, threads: int = 1) -> SpeakerEncoder:
        """The encoder with the weights inside this package, using ``threads`` threads per embedding."""
        import onnxruntime  # noqa: PLC0415 - a server without consents starts sooner, and smaller

        model = _MODEL.read_bytes()
        session = onnxruntime.InferenceSession(model, _session_options(threads), providers=["CPUExecutionProvider"])
        return cls(session, hashlib.sha256(model + repr(_FRONT_END_CONSTANTS).encode()).hexdigest())

    @property
    def config_hash(self) -> str:
        """sha256 in hex of the weights and the front end: embeddings compare only where it is equal."""
        return self._config_hash

    @property
    def threshold(self) -> float:
        return THRESHOLD

    def embed(self, pcm: Pcm) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        """A unit vector with no negative element, float32, shape [256].

        Raises:
            AudioSilent: the recording holds no sound.
        """
        return self.embed_partials(heard(_at_model_rate(pcm)))

    def embed_partials(self, mels: NDArray[np.float32]) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        """The model alone: the direction of the mean over what it says of each partial, float32, shape [256].

        ``mels`` is float32, shape [partials, frames, BANDS].
        """
        batches = [mels[start : start + BATCH] for start in range(0, len(mels), BATCH)]
        partials: list[NDArray[np.float32]] = [self._session.run(None, {"mel": batch})[0] for batch in batches]
        mean = np.concatenate(partials).mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)


def heard(samples: Samples) -> NDArray[np.float32]:
    """What the model is given of 16 kHz audio with sound in it, float32, shape [partials, PARTIAL_FRAMES, BANDS].

    Without pauses, at ``LEVEL_DBFS``, less the steady noise.
    """
    voiced = silence.cut_pauses(samples)
    gain = np.float32(10 ** (LEVEL_DBFS / 20) / np.sqrt(np.mean(np.square(voiced, dtype=np.float64))))
    floor = mel.noise_floor(mel.mel_power(samples * gain))
    return mel.without_noise(mel_partials(voiced * gain), floor)


def mel_partials(samples: Samples) -> NDArray[np.float32]:
    """Overlapping stretches of the mel spectrum, float32, shape [partials, PARTIAL_FRAMES, BANDS]; at least one.

    ``samples`` is 16 kHz audio; the last stretch reaches into silence.
    """
    starts = partial_starts(len(samples))
    missing = (starts[-1] + PARTIAL_FRAMES) * mel.HOP - len(samples)
    frames = mel.mel_power(np.pad(samples, (0, max(0, missing))))
    return np.stack([frames[start : start + PARTIAL_FRAMES] for start in starts])


def partial_starts(sample_count: int) -> list[int]:
    """The first frame of each partial."""
    frames = sample_count // mel.HOP + 1
    end = max(1, frames - PARTIAL_FRAMES + PARTIAL_STEP_FRAMES + 1)
    starts = list(range(0, end, PARTIAL_STEP_FRAMES))
    coverage = (sample_count / mel.HOP - starts[-1]) / PARTIAL_FRAMES
    return starts[:-1] if coverage < LAST_COVERAGE and len(starts) > 1 else starts


def _at_model_rate(pcm: Pcm) -> Samples:
    samples = np.asarray(pcm.samples, np.float32)
    if not len(samples) or float(np.mean(np.square(samples))) < _SILENT_POWER:
        raise AudioSilent("The recording holds no sound.")
    if pcm.sample_rate_hz == mel.SAMPLE_RATE_HZ:
        return samples
    return np.asarray(soxr.resample(samples, pcm.sample_rate_hz, mel.SAMPLE_RATE_HZ), np.float32)


def _session_options(threads: int) -> Any:
    """An idle session keeps the weights only: no arena, and no thread that spins."""
    import onnxruntime  # noqa: PLC0415 - is there already

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
