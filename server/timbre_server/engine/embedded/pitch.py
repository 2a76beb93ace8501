"""How high is a voice? The fundamental frequency of a recording, frame by frame.

References: P. Boersma, "Accurate short-term analysis of the fundamental frequency and the harmonics-to-noise ratio
of a sampled sound" (1993): the autocorrelation divided by that of the window, and the costs of a path, as Praat's
defaults have them; C. De Looze and D. Hirst, "Detecting changes in key and range" (2008): a second pass in the
range that the first one found.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from timbre_server.domain.pcm import Samples
from timbre_server.engine.embedded.frames import HOP, SAMPLE_RATE_HZ, Floats

LOWEST_HZ: Final = 60.0
"""Deep male voices reach down to 65 Hz."""
HIGHEST_HZ: Final = 500.0
"""Lively female voices reach up to 450 Hz."""

_DECIMATION: Final = 3
_RATE_HZ: Final = SAMPLE_RATE_HZ // _DECIMATION
_WINDOW: Final = 400
"""50 ms at 8 kHz: three periods of ``LOWEST_HZ`` (Boersma)."""
_FFT: Final = 1024
"""Holds a window and the longest lag without wrapping."""
_CANDIDATES: Final = 6
"""Praat takes up to 15; further ones never won on our recordings."""
_SILENCE_SHARE: Final = 0.03
_VOICING_STRENGTH: Final = 0.45
_OCTAVE_COST: Final = 0.01
# Costs of a path per 10 ms, here per frame of 12.5 ms.
_OCTAVE_JUMP_COST: Final = 0.35 * 0.8
_VOICING_CHANGE_COST: Final = 0.14 * 0.8
_RANGE_BELOW: Final = 0.75
"""Of the lower quartile (De Looze and Hirst)."""
_RANGE_ABOVE: Final = 1.7
"""Of the upper quartile; De Looze and Hirst have 1.5 for read speech, and 1.9 or more for lively speech."""


@dataclass(frozen=True, eq=False)
class _Correlation:
    """Normalised autocorrelations, [frames, lags], and the strength of 'unvoiced' in each frame, [frames]."""

    by_lag: Floats
    unvoiced: Floats


def fundamental(samples: Samples) -> Floats:
    """The fundamental of 24 kHz audio in Hz, float32, shape [n // HOP + 1], 0 where there is none.

    Frame k is centred on sample k * HOP.
    """
    correlation = _correlate(samples)
    rough = _track(correlation, LOWEST_HZ, HIGHEST_HZ)
    if not rough.any():
        return rough
    lower, upper = np.percentile(rough[rough > 0], [25, 75])
    return _track(correlation, max(LOWEST_HZ, _RANGE_BELOW * lower), min(HIGHEST_HZ, _RANGE_ABOVE * upper))


def _correlate(samples: Samples) -> _Correlation:
    low_rate = _decimated(samples)
    windows = np.lib.stride_tricks.sliding_window_view(np.pad(low_rate, _WINDOW // 2), _WINDOW)
    windows = windows[:: HOP // _DECIMATION][: len(samples) // HOP + 1]
    centred = windows - windows.mean(axis=1, keepdims=True)
    hann = np.asarray(np.hanning(_WINDOW + 2)[1:-1], np.float32)
    lags = int(_RATE_HZ / LOWEST_HZ) + 3
    raw = _autocorrelation(centred * hann)[:, :lags]
    of_window = _autocorrelation(hann[None])[:, :lags]
    by_lag = raw / np.maximum(raw[:, :1], np.float32(1e-12)) / (of_window / of_window[:, :1])
    return _Correlation(np.asarray(by_lag, np.float32), _unvoiced_strength(centred))


def _decimated(samples: Samples) -> Floats:
    """Every third sample behind a windowed sinc that ends at 3 kHz: voices show their period below that."""
    taps = np.arange(-15, 16)
    low_pass = np.sinc(taps * (2 * 3000 / SAMPLE_RATE_HZ)) * np.hamming(len(taps))
    reach = len(taps) // 2
    padded = np.pad(samples, (reach, reach + 1))  # one more than needed, so that no samples are still one window
    smooth = np.convolve(padded, (low_pass / low_pass.sum()).astype(np.float32), mode="valid")[: len(samples)]
    return np.asarray(smooth[::_DECIMATION], np.float32)


def _autocorrelation(rows: Floats) -> Floats:
    spectra = np.fft.rfft(rows, _FFT, axis=1)
    power = np.asarray(spectra.real**2 + spectra.imag**2, np.float32)
    return np.asarray(np.fft.irfft(power, _FFT, axis=1), np.float32)


def _unvoiced_strength(windows: Floats) -> Floats:
    """Praat's strength of the unvoiced candidate: higher in frames that are quiet beside the recording's peak."""
    peaks = np.abs(windows).max(axis=1)
    relative = peaks / max(float(np.percentile(peaks, 99)), 1e-6)
    return np.asarray(
        _VOICING_STRENGTH + np.maximum(0, 2 - relative * (1 + _VOICING_STRENGTH) / _SILENCE_SHARE), np.float32
    )


def _track(correlation: _Correlation, lowest_hz: float, highest_hz: float) -> Floats:
    """The cheapest path through the candidates of all frames, in Hz."""
    hz, strength = _candidates(correlation.by_lag, lowest_hz, highest_hz)
    hz = np.concatenate([hz, np.zeros((len(hz), 1), np.float32)], axis=1)
    strength = np.concatenate([strength, correlation.unvoiced[:, None]], axis=1)
    path = _best_path(strength, hz)
    return hz[np.arange(len(hz)), path]


def _candidates(by_lag: Floats, lowest_hz: float, highest_hz: float) -> tuple[Floats, Floats]:
    """Frequencies and strengths of the strongest peaks of each frame: both [frames, _CANDIDATES]."""
    first = max(2, int(_RATE_HZ / highest_hz))
    last = min(by_lag.shape[1] - 2, int(np.ceil(_RATE_HZ / lowest_hz)))
    middle = by_lag[:, first : last + 1]
    before, after = by_lag[:, first - 1 : last], by_lag[:, first + 1 : last + 2]
    is_peak = (middle > before) & (middle >= after)
    strongest = np.argpartition(np.where(is_peak, -middle, 1), _CANDIDATES, axis=1)[:, :_CANDIDATES]
    here, left, right = (np.take_along_axis(rows, strongest, axis=1) for rows in (middle, before, after))
    real = np.take_along_axis(is_peak, strongest, axis=1)
    # A parabola through the peak and its neighbours finds the lag between samples.
    curvature = np.where(real, left - 2 * here + right, -1)
    offset = np.where(real, 0.5 * (left - right) / curvature, 0)
    hz = _RATE_HZ / (strongest + first + offset)
    height = here - 0.25 * (left - right) * offset
    strength = np.where(real, height - _OCTAVE_COST * np.log2(HIGHEST_HZ / hz), -np.inf)
    return np.asarray(hz, np.float32), np.asarray(strength, np.float32)


def _best_path(strength: Floats, hz: Floats) -> NDArray[np.intp]:
    """Viterbi: one candidate per frame, the last of each row being 'unvoiced'; shape [frames]."""
    costs = _transition_costs(hz)
    came_from = np.zeros(strength.shape, np.intp)
    columns = np.arange(strength.shape[1])
    total = strength[0]
    for frame in range(1, len(strength)):
        through = total[:, None] - costs[frame - 1]
        best = through.argmax(axis=0)
        came_from[frame] = best
        total = through[best, columns] + strength[frame]
    path = np.empty(len(strength), np.intp)
    path[-1] = total.argmax()
    for frame in range(len(strength) - 1, 0, -1):
        path[frame - 1] = came_from[frame, path[frame]]
    return path


def _transition_costs(hz: Floats) -> Floats:
    """The cost of every step between neighbouring frames, [frames - 1, from, to]."""
    octaves = np.log2(np.where(hz > 0, hz, 1))
    costs = _OCTAVE_JUMP_COST * np.abs(octaves[:-1, :, None] - octaves[1:, None, :])
    costs[:, -1, :] = _VOICING_CHANGE_COST
    costs[:, :, -1] = _VOICING_CHANGE_COST
    costs[:, -1, -1] = 0
    return np.asarray(costs, np.float32)
