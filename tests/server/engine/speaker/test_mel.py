from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.engine.speaker.mel import BANDS, HOP, SAMPLE_RATE_HZ, mel_power, noise_floor, without_noise


def hz_of(mel: float) -> float:
    """Slaney's scale written out: 15 mel at 1 kHz, linear below, factor 6.4 per 27 mel above."""
    return mel * 1000 / 15 if mel < 15 else 1000 * 6.4 ** ((mel - 15) / 27)


def band_edges_hz() -> list[float]:
    top = 15 + 27 * math.log(8) / math.log(6.4)
    return [hz_of(top * index / (BANDS + 1)) for index in range(BANDS + 2)]


def slow_mel_power(samples: np.ndarray, frame: int) -> np.ndarray:
    """One frame from the definitions: Fourier sum by sum, triangle by triangle, float64."""
    centre = frame * HOP
    window = [samples[n] if 0 <= n < len(samples) else 0.0 for n in range(centre - 200, centre + 200)]
    n = np.arange(400)
    window = np.array(window) * np.sin(np.pi * n / 400) ** 2
    power = [abs(np.sum(window * np.exp(-2j * np.pi * k * n / 400))) ** 2 for k in range(201)]
    edges = band_edges_hz()
    result = []
    for low, peak, high in zip(edges, edges[1:], edges[2:], strict=False):
        weights = np.interp(np.arange(201) * 40.0, [low, peak, high], [0, 2 / (high - low), 0])
        result.append(float(np.dot(weights, power)))
    return np.array(result)


@pytest.mark.parametrize("frame", [0, 1, 7, 19, 20])
def test_every_frame_agrees_with_the_definition(frame: int) -> None:
    samples = np.random.default_rng(1).standard_normal(20 * HOP).astype(np.float32) * np.float32(0.1)
    expected = slow_mel_power(samples, frame)
    assert np.allclose(mel_power(samples)[frame], expected, rtol=1e-4, atol=1e-6 * expected.max())


@given(st.integers(0, 4000))
def test_there_is_one_frame_per_hop_and_one_more(count: int) -> None:
    assert mel_power(np.zeros(count, np.float32)).shape == (1 + count // HOP, BANDS)


@pytest.mark.parametrize("band", [3, 12, 25, 38])
def test_a_tone_is_loudest_in_its_band(band: int) -> None:
    hz = band_edges_hz()[band + 1]
    tone = np.sin(2 * np.pi * hz * np.arange(4000) / SAMPLE_RATE_HZ).astype(np.float32)
    assert int(np.argmax(mel_power(tone)[12])) == band


def test_steady_noise_is_taken_away_and_what_rises_above_it_stays() -> None:
    power = np.ones((100, BANDS), np.float32)
    power[40:60, 5] = 50
    clean = without_noise(power, noise_floor(power))
    assert clean[10, 5] < 0.03
    assert clean[50, 5] > 48


def test_a_recording_without_noise_stays_as_it_is() -> None:
    power = np.ones((100, BANDS), np.float32)
    power[::5] = 0  # pauses
    assert np.array_equal(without_noise(power, noise_floor(power)), power)
