from __future__ import annotations

import numpy as np
import pytest

from timbre_server.engine.embedded import envelope
from timbre_server.engine.embedded.frames import HOP, SAMPLE_RATE_HZ, Floats


def noise(seconds: float = 2.0, level: float = 0.1) -> Floats:
    return np.random.default_rng(3).normal(0, level, int(seconds * SAMPLE_RATE_HZ)).astype(np.float32)


def envelopes(samples: Floats, f0_hz: float = 0.0) -> Floats:
    return envelope.of_recording(samples, np.full(len(samples) // HOP + 1, f0_hz, np.float32))


def test_white_noise_is_flat() -> None:
    mean = envelopes(noise()).mean(axis=0)
    assert np.ptp(mean[3:]) < 0.25


def test_twice_the_amplitude_adds_the_logarithm_of_two() -> None:
    difference = envelopes(noise(level=0.2)) - envelopes(noise(level=0.1))
    assert difference == pytest.approx(np.log(2), abs=1e-3)


def test_power_is_that_of_the_waveform() -> None:
    samples = noise()
    power = envelope.power_of(envelopes(samples)).mean()
    # The bands cover 60 to 11,500 Hz of 12,000; the mean of a log lies below the log of the mean.
    assert 10 * np.log10(power / np.mean(np.square(samples))) == pytest.approx(0, abs=0.7)


@pytest.mark.parametrize("f0_hz", [100.0, 210.0, 330.0])
def test_harmonics_leave_little_ripple(f0_hz: float) -> None:
    time = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    orders = np.arange(1, int(11_900 / f0_hz))
    tone = np.sum(0.02 * np.cos(2 * np.pi * f0_hz * orders[:, None] * time), axis=0).astype(np.float32)
    inside = envelopes(tone, f0_hz)[10:-10]
    audible = f0_hz < envelope.BAND_HZ
    assert np.ptp(inside[:, audible].mean(axis=0)) < 0.5


def test_a_warp_below_one_lowers_a_resonance() -> None:
    bands = np.exp(-0.5 * ((envelope.BAND_HZ - 2000) / 300) ** 2).astype(np.float32)
    lowered = envelope.warped(bands, 0.9)
    assert envelope.BAND_HZ[lowered.argmax()] == pytest.approx(1800, rel=0.05)


def test_a_warp_of_one_changes_nothing() -> None:
    bands = np.random.default_rng(0).normal(size=(5, envelope.BANDS)).astype(np.float32)
    assert envelope.warped(bands, 1.0) == pytest.approx(bands, abs=1e-5)


def test_cosines_are_orthonormal() -> None:
    assert pytest.approx(np.eye(envelope.CEPSTRA), abs=1e-5) == envelope.COSINES @ envelope.COSINES.T
