"""How is energy spread over frequency? Log-mel envelopes of frames and of recordings, and their cepstra.

An envelope is half the natural logarithm of mean power per mel band, so it adds to log magnitudes.
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from timbre_server.domain.pcm import Samples
from timbre_server.engine.embedded.frames import BIN_HZ, BINS, HANN, HOP, WINDOW, Floats, Frames

BANDS: Final = 48
CEPSTRA: Final = 24
"""Rows of the cosine transform that are kept: details narrower than two bands are the words', not the voice's."""
LOWEST_HZ: Final = 60.0
HIGHEST_HZ: Final = 11_500.0
UNVOICED_SMOOTHING_HZ: Final = 200.0
"""Width over which the spectrum of a frame without harmonics is averaged: that of a middle fundamental."""
_FLOOR: Final = 1e-10
"""Power of a silent band: 16-bit rounding noise under this window lies near 1e-8."""
_HARMONIC_POWER_HZ: Final = 30.0
"""Unit harmonics have a mean power of 30 Hz / f0 per bin: 450 (the sum of the squared window) * 1,200 / 300**2 / 4
= 1.5 per harmonic, one harmonic every f0 / 20 Hz bins."""


def _mel(hz: NDArray[np.float64]) -> NDArray[np.float64]:
    """References: O'Shaughnessy, "Speech Communication" (1987): 2595 log10(1 + f / 700)."""
    return np.asarray(2595 * np.log10(1 + hz / 700))


def _band_edges_hz() -> NDArray[np.float64]:
    low, high = _mel(np.asarray([LOWEST_HZ, HIGHEST_HZ]))
    return np.asarray(700 * (10 ** (np.linspace(low, high, BANDS + 2) / 2595) - 1))


def _band_filters() -> Floats:
    """Triangles that average power, each row sums to 1: shape [BANDS, BINS]."""
    edges = _band_edges_hz()[:, None]
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    triangles = np.maximum(0, np.minimum((BIN_HZ - low) / (centre - low), (high - BIN_HZ) / (high - centre)))
    return np.asarray(triangles / triangles.sum(axis=1, keepdims=True), np.float32)


def _cosines() -> Floats:
    """Orthonormal rows of the cosine transform (DCT-II), shape [CEPSTRA, BANDS]."""
    rows = np.cos(np.pi * np.arange(CEPSTRA)[:, None] * (np.arange(BANDS) + 0.5) / BANDS) * np.sqrt(2 / BANDS)
    rows[0] /= np.sqrt(2)
    return np.asarray(rows, np.float32)


BAND_HZ: Final[Floats] = np.asarray(_band_edges_hz()[1:-1], np.float32)
"""Centre of each band, shape [BANDS]."""
COSINES: Final[Floats] = _cosines()
_FILTERS: Final[Floats] = _band_filters()
_BAND_BINS: Final[Floats] = np.asarray(np.gradient(_band_edges_hz())[1:-1] / (BIN_HZ[1] - BIN_HZ[0]), np.float32)
"""How many bins each band stands for, shape [BANDS]."""


def of_frames(frames: Frames) -> Floats:
    """The envelope that frames will have once they sound, shape [frames, BANDS], without making them sound."""
    harmonic_gain = np.where(frames.voiced, _HARMONIC_POWER_HZ / np.maximum(frames.f0_hz, 1), 0)
    power = np.exp(2 * frames.harmonic) * harmonic_gain.astype(np.float32) + np.exp(2 * frames.residual)
    return _log_bands(power.T)


def of_recording(samples: Samples, f0_hz: Floats) -> Floats:
    """The envelope of 24 kHz audio, shape [frames, BANDS], frame k centred on sample k * HOP.

    Each frame's power is first averaged over one fundamental, so that harmonics leave no ripple.  ``f0_hz`` has
    shape [frames], 0 where unvoiced.
    """
    padded = np.pad(samples, WINDOW // 2)
    windows = np.lib.stride_tricks.sliding_window_view(padded, WINDOW)[::HOP][: len(f0_hz)]
    spectra = np.fft.rfft(windows * HANN, axis=1)
    power = np.asarray(spectra.real**2 + spectra.imag**2, np.float32)
    return _log_bands(_averaged(power, np.where(f0_hz > 0, f0_hz, UNVOICED_SMOOTHING_HZ)))


def power_of(envelope: Floats) -> NDArray[np.float64]:
    """Mean square of the waveform of each frame, shape [frames]: what the bands of ``envelope`` sum to."""
    # Parseval for one-sided spectra: 2 * sum(power) / (WINDOW * sum of the squared window).
    scale = 2 / (WINDOW * float(np.square(HANN).sum()))
    return np.asarray(np.exp(2 * envelope.astype(np.float64)) @ _BAND_BINS * scale, np.float64)


def over_bins(bands: Floats) -> Floats:
    """Values per band interpolated over all bins, flat beyond the outer bands: [BANDS] -> [BINS]."""
    return np.asarray(np.interp(BIN_HZ, BAND_HZ, bands), np.float32)


def warped(bands: Floats, warp: float) -> Floats:
    """Values per band ([..., BANDS]) read at f / warp: below 1 the resonances fall, as in a longer vocal tract."""
    places = np.interp(BAND_HZ / warp, BAND_HZ, np.arange(BANDS))
    lower = np.minimum(places.astype(np.intp), BANDS - 2)
    share = (places - lower).astype(np.float32)
    return np.asarray(bands[..., lower] * (1 - share) + bands[..., lower + 1] * share, np.float32)


def _log_bands(power: Floats) -> Floats:
    """Power per bin ([frames, BINS]) as an envelope."""
    return np.asarray(0.5 * np.log(power @ _FILTERS.T + np.float32(_FLOOR)), np.float32)


def _averaged(power: Floats, width_hz: Floats) -> Floats:
    """Each frame's power averaged over its own width, by differences of the running sum; shapes as ``power``."""
    running = np.concatenate([np.zeros((len(power), 1)), np.cumsum(power, axis=1, dtype=np.float64)], axis=1)
    half = (width_hz / (BIN_HZ[1] - BIN_HZ[0]) / 2)[:, None]
    centre = np.arange(BINS) + 0.5
    low, high = np.maximum(centre - half, 0), np.minimum(centre + half, BINS)
    return np.asarray((_read(running, high) - _read(running, low)) / (high - low), np.float32)


def _read(rows: NDArray[np.float64], places: NDArray[np.float64]) -> NDArray[np.float64]:
    """Each row read between its elements at its own places."""
    lower = np.minimum(places.astype(np.intp), rows.shape[1] - 2)
    share = places - lower
    below = np.take_along_axis(rows, lower, axis=1)
    return np.asarray(below + share * (np.take_along_axis(rows, lower + 1, axis=1) - below))
