"""How do frames become sound? A pulse train, shaped frame by frame, and an overlapping sum.

References: hibari 0.2.1 ``hibari.dsp`` for the model of the signal; its noise branch is left out, because it holds
none of the energy (its magnitudes average exp(-10)), and so nothing random is drawn.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final

import numpy as np
from numpy.typing import NDArray

from timbre_server.engine.embedded.frames import (
    HANN,
    HOP,
    SAMPLE_RATE_HZ,
    VOICED_FROM_HZ,
    WINDOW,
    Floats,
    Frames,
)

TOP_HARMONIC_HZ: Final = 11_000.0
"""No harmonic above it (hibari)."""
_OVERLAP: Final = WINDOW // HOP
_PULSE_WINDOW: Final[Floats] = HANN / np.float32(WINDOW / _OVERLAP)
"""Scaled such that a harmonic of amplitude 1 has a peak of 1."""
_OVERLAP_GAIN: Final = np.float32(1 / 1.5)
"""A Hann window, squared and summed every quarter of its length, is 3/2 everywhere."""
_MAX_LOG_MAGNITUDE: Final = 7.0
"""hibari's own bound on a magnitude."""
_PHASE_NEAR_PULSE: Final = 2e-3
"""Below this |2 sin(t/2)| float32 cannot divide; the limit of the sum is used instead."""


def render(f0_hz: Floats, blocks: Iterable[Frames]) -> Iterator[Floats]:
    """The waveform of consecutive blocks of frames, a stretch per block, ``samples_of(len(f0_hz))`` in all.

    The first and the last frame rise from and fall to silence under half a window, so edges never click.
    """
    pulses = np.pad(pulse_train(f0_hz), WINDOW // 2)
    first = 0
    tail = np.zeros((_OVERLAP - 1) * HOP, np.float32)
    for block in blocks:
        span = pulses[first * HOP : (first + len(block) - 1) * HOP + WINDOW]
        summed = _overlap_add(_spectra(span, block))
        summed[: len(tail)] += tail
        first += len(block)
        ready = len(summed) if first == len(f0_hz) else len(block) * HOP
        tail = summed[ready:]
        yield summed[:ready]


def samples_of(frame_count: int) -> int:
    """How many samples ``render`` makes of so many frames."""
    return frame_count * HOP + WINDOW - HOP


def pulse_train(f0_hz: Floats) -> Floats:
    """Harmonics of amplitude 1 up to ``TOP_HARMONIC_HZ``, shape [frames * HOP]; silence where unvoiced.

    References: the closed form of a sum of cosines, sum(cos(h t), h=1..H) = sin((H + 1/2) t) / (2 sin(t/2)) - 1/2.
    """
    frame_voiced = f0_hz >= VOICED_FROM_HZ
    if not frame_voiced.any():
        return np.zeros(len(f0_hz) * HOP, np.float32)
    hz = _contour(f0_hz, frame_voiced)
    cycles = np.cumsum(hz, dtype=np.float64) / SAMPLE_RATE_HZ
    phase = np.asarray((cycles % 1.0) * (2 * np.pi), np.float32)
    order = np.floor(np.float32(TOP_HARMONIC_HZ) / hz) + np.float32(0.5)
    divisor = 2 * np.sin(phase / 2)
    near_pulse = np.abs(divisor) <= _PHASE_NEAR_PULSE
    divisor[near_pulse] = 1
    train = np.where(near_pulse, order, np.sin(order * phase) / divisor) - np.float32(0.5)
    return np.asarray(train * np.repeat(frame_voiced, HOP), np.float32)


def _contour(f0_hz: Floats, voiced: NDArray[np.bool_]) -> Floats:
    """The fundamental at each sample; unvoiced gaps are bridged, so that voicing starts at the right pitch."""
    centres = np.flatnonzero(voiced) * HOP + HOP / 2
    return np.asarray(np.interp(np.arange(len(f0_hz) * HOP), centres, f0_hz[voiced]), np.float32)


def _spectra(pulses: Floats, block: Frames) -> NDArray[np.complex64]:
    """One complex spectrum per frame, shape [frames, BINS]; ``pulses`` spans the windows of the block."""
    windows = np.lib.stride_tricks.sliding_window_view(pulses, WINDOW)[::HOP]
    spectra = np.asarray(np.fft.rfft(windows * _PULSE_WINDOW, axis=1), np.complex64)
    spectra *= _turned(block.harmonic, np.tanh(block.harmonic_phase) * np.float32(np.pi))
    spectra += _turned(block.residual, block.residual_phase)
    return spectra


def _turned(log_magnitude: Floats, phase: Floats) -> NDArray[np.complex64]:
    """exp(log_magnitude + i phase), transposed to [frames, BINS]."""
    magnitude = np.exp(np.minimum(log_magnitude.T, np.float32(_MAX_LOG_MAGNITUDE)))
    turned = np.empty(magnitude.shape, np.complex64)
    turned.real = np.cos(phase.T) * magnitude
    turned.imag = np.sin(phase.T) * magnitude
    return turned


def _overlap_add(spectra: NDArray[np.complex64]) -> Floats:
    """The windowed sum of the frames' waveforms, shape [samples_of(frames)]."""
    count = len(spectra)
    waves = np.asarray(np.fft.irfft(spectra, WINDOW, axis=1), np.float32)
    waves *= HANN * _OVERLAP_GAIN
    steps = waves.reshape(count, _OVERLAP, HOP)
    summed = np.zeros((count + _OVERLAP - 1, HOP), np.float32)
    for step in range(_OVERLAP):
        summed[step : step + count] += steps[:, step]
    return summed.reshape(-1)
