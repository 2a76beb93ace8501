"""What does the acoustic model say, before any waveform exists? Source and filter, frame by frame.

The layout is that of hibari 0.2.1 (``hibari.dsp``): 24 kHz, a periodic Hann window of 1,200 samples every 300,
and per frame one harmonic and one residual spectrum.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from timbre_server.domain.voice import CANONICAL_SAMPLE_RATE_HZ

Floats = NDArray[np.float32]

SAMPLE_RATE_HZ: Final = CANONICAL_SAMPLE_RATE_HZ
HOP: Final = 300
"""Samples between frames (hibari)."""
WINDOW: Final = 1200
"""Samples under the window of a frame (hibari)."""
FRAMES_PER_SECOND: Final = SAMPLE_RATE_HZ // HOP
BINS: Final = WINDOW // 2 + 1
VOICED_FROM_HZ: Final = 40.0
"""A lower fundamental means that the frame is unvoiced (hibari)."""
HANN: Final[Floats] = np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW), np.float32)
BIN_HZ: Final[Floats] = np.arange(BINS, dtype=np.float32) * (SAMPLE_RATE_HZ / WINDOW)
"""Centre of each bin, shape [BINS]."""


@dataclass(frozen=True, eq=False)
class Frames:
    """Speech as spectra: all float32, shape [BINS, frames], but ``f0_hz``.

    A frame's spectrum is ``exp(harmonic) * exp(i pi tanh(harmonic_phase)) * pulses + exp(residual) *
    exp(i residual_phase)``, where ``pulses`` is the spectrum of a pulse train whose harmonics have amplitude 1.
    """

    harmonic: Floats
    """Natural logarithm of the magnitude."""
    harmonic_phase: Floats
    residual: Floats
    """Natural logarithm of the magnitude."""
    residual_phase: Floats
    """Radians."""
    f0_hz: Floats
    """Fundamental frequency, shape [frames]; below ``VOICED_FROM_HZ`` where unvoiced."""

    def __len__(self) -> int:
        return len(self.f0_hz)

    def __getitem__(self, part: slice) -> Frames:
        return Frames(
            self.harmonic[:, part],
            self.harmonic_phase[:, part],
            self.residual[:, part],
            self.residual_phase[:, part],
            self.f0_hz[part],
        )

    @property
    def voiced(self) -> NDArray[np.bool_]:
        """Which frames have a fundamental, shape [frames]."""
        return self.f0_hz >= VOICED_FROM_HZ
