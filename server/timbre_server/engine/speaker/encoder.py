"""How alike are two voices? The speaker encoder: Resemblyzer's LSTM in onnxruntime, behind ``ports.SpeakerVerifier``.

References: Wan et al., "Generalized End-to-End Loss for Speaker Verification" (2018); Resemblyzer 0.1.4
``voice_encoder.py`` for the cutting into partials and their mean.
"""

from __future__ import annotations

import hashlib
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
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

FRONT_END: Final = 1
"""Counted up with every change of ``mel``, ``silence`` or the partials that moves an embedding."""

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
        model = _MODEL.read_bytes()
        session = onnxruntime.InferenceSession(model, _session_options(threads), providers=["CPUExecutionProvider"])
        front_end = f"{FRONT_END} {silence.TARGET_DBFS} {silence.GATE_DB} {PARTIAL_FRAMES} {PARTIAL_STEP_FRAMES}"
        return cls(session, hashlib.sha256(model + front_end.encode()).hexdigest())

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
        samples = _prepared(pcm)
        partials: NDArray[np.float32] = self._session.run(None, {"mel": mel_partials(samples)})[0]
        mean = partials.mean(axis=0)
        return np.asarray(mean / np.linalg.norm(mean), np.float32)


def mel_partials(samples: Samples) -> NDArray[np.float32]:
    """Overlapping stretches of the mel spectrum, float32, shape [partials, PARTIAL_FRAMES, BANDS]; at least one.

    ``samples`` is prepared 16 kHz audio; the last stretch reaches into silence.
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


def _prepared(pcm: Pcm) -> Samples:
    """16 kHz, at the level that the encoder expects, without pauses."""
    samples = np.asarray(pcm.samples, np.float32)
    if not len(samples) or float(np.mean(np.square(samples))) < _SILENT_POWER:
        raise AudioSilent("The recording holds no sound.")
    if pcm.sample_rate_hz != mel.SAMPLE_RATE_HZ:
        samples = soxr.resample(samples, pcm.sample_rate_hz, mel.SAMPLE_RATE_HZ)
    return silence.cut_pauses(silence.raise_level(samples))


def _session_options(threads: int) -> Any:
    """An idle session keeps the weights only: no arena, and no thread that spins."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.enable_mem_pattern = False
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    return options
