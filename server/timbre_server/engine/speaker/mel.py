"""What does the speaker encoder hear? Mel power spectra at the rate and scale that it was trained on.

References: Resemblyzer 0.1.4 ``hparams.py`` and ``audio.py`` for every constant; M. Slaney, Auditory Toolbox
(1998), for the mel scale; Wan et al., "Generalized End-to-End Loss for Speaker Verification" (2018), for 40 bands;
Berouti, Schwartz and Makhoul, "Enhancement of Speech Corrupted by Acoustic Noise" (1979), for the subtraction.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from timbre_server.domain.pcm import Samples

SAMPLE_RATE_HZ: Final = 16_000
WINDOW: Final = 400
"""Samples per frame: 25 ms."""
HOP: Final = 160
"""Samples between frames: 10 ms."""
BANDS: Final = 40

NOISE_PERCENTILE: Final = 10.0
"""The power that a band stays under in a tenth of the frames is noise: speech leaves each band that often."""
NOISE_FACTOR: Final = 1.5
"""Subtracted more than once, as that percentile lies below the noise's mean."""
NOISE_KEPT: Final = 0.02
"""Share of a frame's own power that always stays, so that nothing becomes exactly silent (Berouti: 0.01 to 0.1)."""

# Slaney's scale: linear below 1 kHz at 200/3 Hz per mel, above it a factor of 6.4 in 27 steps.
_LINEAR_HZ_PER_MEL: Final = 200.0 / 3
_BREAK_HZ: Final = 1000.0
_LOG_STEP: Final = float(np.log(6.4) / 27)


def _mel_edges_hz() -> NDArray[np.float64]:
    """The corners of the triangular bands: shape [BANDS + 2], even in mel from 0 Hz to half the sample rate."""
    break_mel = _BREAK_HZ / _LINEAR_HZ_PER_MEL
    top_mel = break_mel + np.log(SAMPLE_RATE_HZ / 2 / _BREAK_HZ) / _LOG_STEP
    mels = np.linspace(0.0, top_mel, BANDS + 2)
    above = _BREAK_HZ * np.exp(_LOG_STEP * (mels - break_mel))
    return np.where(mels < break_mel, _LINEAR_HZ_PER_MEL * mels, above)


def _mel_filters() -> NDArray[np.float32]:
    """Triangles of equal area over the power spectrum, float32, shape [WINDOW // 2 + 1, BANDS]."""
    bins_hz = np.fft.rfftfreq(WINDOW, 1 / SAMPLE_RATE_HZ)[:, None]
    edges = _mel_edges_hz()
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    rising = (bins_hz - low) / (centre - low)
    falling = (high - bins_hz) / (high - centre)
    triangles = np.maximum(0.0, np.minimum(rising, falling))
    return np.asarray(triangles * 2.0 / (high - low), np.float32)


_FILTERS: Final = _mel_filters()
_HANN: Final = np.asarray(0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW) / WINDOW), np.float32)


def mel_power(samples: Samples) -> NDArray[np.float32]:
    """Mel power spectra (no logarithm) of 16 kHz audio, float32, shape [1 + n // HOP, BANDS].

    Frame k is centred on sample k * HOP; beyond both ends there is silence.
    """
    padded = np.pad(samples, WINDOW // 2)
    frames = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP]
    spectra = np.fft.rfft(frames * _HANN, axis=1)
    power = spectra.real**2 + spectra.imag**2
    return np.asarray(power @ _FILTERS, np.float32)


def noise_floor(power: NDArray[np.float32]) -> NDArray[np.float32]:
    """The steady part of each band of ``mel_power``, shape [BANDS]; the recording should still have its pauses."""
    return np.asarray(NOISE_FACTOR * np.percentile(power, NOISE_PERCENTILE, axis=0), np.float32)


def without_noise(power: NDArray[np.float32], floor: NDArray[np.float32]) -> NDArray[np.float32]:
    """``power`` less ``floor``, shape as ``power``, never negative."""
    return np.asarray(np.maximum(power - floor, NOISE_KEPT * power), np.float32)
