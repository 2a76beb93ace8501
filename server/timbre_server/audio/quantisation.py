"""How do float samples become 16-bit integers and come back without a loss?"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from timbre_server.domain.pcm import Samples

Int16Samples = NDArray[np.int16]
"""Mono samples as 16-bit integers, shape [n]."""

FULL_SCALE = 32768
"""Integer steps per 1.0: the negative full scale of 16-bit PCM, so that int16 -> float -> int16 is exact."""


def to_int16(samples: Samples) -> Int16Samples:
    """The nearest 16-bit value of each sample; beyond full scale it stays at full scale and never wraps."""
    scaled = np.rint(np.asarray(samples, dtype=np.float32) * FULL_SCALE)
    return np.clip(scaled, -FULL_SCALE, FULL_SCALE - 1).astype(np.int16)


def from_int16(values: Int16Samples) -> Samples:
    """The samples that ``to_int16`` maps back to exactly these values."""
    return values.astype(np.float32) / np.float32(FULL_SCALE)


def to_little_endian(values: Int16Samples) -> bytes:
    """Two bytes per sample, low byte first, on every machine: what WAV, raw PCM and digests hold."""
    return values.astype("<i2", copy=False).tobytes()


def from_little_endian(data: bytes) -> Int16Samples:
    """The inverse of ``to_little_endian``."""
    return np.frombuffer(data, dtype="<i2").astype(np.int16, copy=False)
