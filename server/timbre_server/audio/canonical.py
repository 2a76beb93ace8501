"""What is the one form in which every recording is kept, compared and handed to engines?

Mono, ``CANONICAL_SAMPLE_RATE_HZ``, samples that are 16-bit values: FLAC keeps it without a loss, and equal takes
have equal digests whatever lossless container they came in.
"""

from __future__ import annotations

import hashlib

import numpy as np

from timbre_server.audio.quantisation import Int16Samples, from_int16, to_int16, to_little_endian
from timbre_server.audio.resampling import Resampler
from timbre_server.domain.pcm import Pcm, Samples
from timbre_server.domain.voice import CANONICAL_SAMPLE_RATE_HZ


class CanonicalStream:
    """Collects pieces of mono audio, whose rate may change between pieces, as canonical 16-bit values."""

    def __init__(self) -> None:
        self._rate_hz = CANONICAL_SAMPLE_RATE_HZ
        self._resampler = Resampler(self._rate_hz, CANONICAL_SAMPLE_RATE_HZ)
        self._done: list[Int16Samples] = []

    def push(self, samples: Samples, sample_rate_hz: int) -> None:
        """Takes the next piece; beyond full scale it is clipped before a filter can ring on it."""
        if sample_rate_hz != self._rate_hz:
            self._end_rate()
            self._rate_hz = sample_rate_hz
            self._resampler = Resampler(sample_rate_hz, CANONICAL_SAMPLE_RATE_HZ)
        self._done.append(to_int16(self._resampler.push(np.clip(samples, -1.0, 1.0))))

    def finish(self) -> Int16Samples:
        """Everything taken so far."""
        self._end_rate()
        return np.concatenate(self._done)

    def _end_rate(self) -> None:
        self._done.append(to_int16(self._resampler.finish()))


def canonical(samples: Samples, sample_rate_hz: int) -> Pcm:
    """The samples in canonical form."""
    stream = CanonicalStream()
    stream.push(samples, sample_rate_hz)
    return Pcm(from_int16(stream.finish()), CANONICAL_SAMPLE_RATE_HZ)


def digest_of(pcm: Pcm) -> str:
    """sha256 in hex over the 16-bit little-endian samples of canonical PCM.

    It is computed once, when a recording comes in, and stored: resamplers may differ between processors.
    """
    return hashlib.sha256(to_little_endian(to_int16(pcm.samples))).hexdigest()
