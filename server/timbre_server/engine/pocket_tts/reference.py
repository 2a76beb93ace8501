"""Does a reference hold enough of a voice for this engine, and at which rate does the codec want it?"""

from __future__ import annotations

from typing import Final

import numpy as np

from timbre_server.domain.pcm import Samples
from timbre_server.domain.voice import CANONICAL_SAMPLE_RATE_HZ, Reference
from timbre_server.errors import AudioTooShort

MIN_VOICED_SECONDS: Final = 3.0
"""The makers clone from about 5 s of speech with its pauses; 3 s voiced is what every engine here asks for at least."""

_FRAME_SECONDS: Final = 0.02
_VOICED_RMS: Final = 0.003
"""A frame counts as voiced above about -50 dBFS: the noise floor of a quiet room is below it."""


def checked(reference: Reference, sample_rate_hz: int) -> Samples:
    """The samples at the codec's rate, float32, contiguous.

    Raises:
        AudioTooShort: less than ``MIN_VOICED_SECONDS`` of it are louder than a quiet room.
    """
    assert reference.pcm.sample_rate_hz == CANONICAL_SAMPLE_RATE_HZ, "references are canonical PCM"
    samples = np.ascontiguousarray(reference.pcm.samples, np.float32)
    voiced = _voiced_seconds(samples)
    if voiced < MIN_VOICED_SECONDS:
        raise AudioTooShort(
            f"the recording holds {voiced:.1f} s of speech; at least {MIN_VOICED_SECONDS:.1f} s are needed"
        )
    if sample_rate_hz == CANONICAL_SAMPLE_RATE_HZ:
        return samples
    from timbre_server.audio.resampling import Resampler  # noqa: PLC0415 - no published codec needs it

    resampler = Resampler(CANONICAL_SAMPLE_RATE_HZ, sample_rate_hz)
    return np.concatenate([resampler.push(samples), resampler.finish()])


def _voiced_seconds(samples: Samples) -> float:
    length = round(CANONICAL_SAMPLE_RATE_HZ * _FRAME_SECONDS)
    frames = samples[: len(samples) // length * length].reshape(-1, length)
    voiced = np.sqrt(np.mean(np.square(frames, dtype=np.float64), axis=1)) > _VOICED_RMS
    return float(np.count_nonzero(voiced)) * _FRAME_SECONDS
