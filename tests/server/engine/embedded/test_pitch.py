from __future__ import annotations

import numpy as np
import pytest

from timbre_server.engine.embedded import pitch
from timbre_server.engine.embedded.frames import FRAMES_PER_SECOND, SAMPLE_RATE_HZ, Floats


def buzz(f0_hz: Floats | float, seconds: float = 1.5) -> Floats:
    """A pulse-like tone whose harmonics fall by 6 dB per octave."""
    contour = np.broadcast_to(np.asarray(f0_hz, np.float64), (int(seconds * SAMPLE_RATE_HZ),))
    phase = 2 * np.pi * np.cumsum(contour) / SAMPLE_RATE_HZ
    harmonics = [np.sin(order * phase) / order for order in range(1, 9)]
    return (0.1 * np.sum(harmonics, axis=0)).astype(np.float32)


@pytest.mark.parametrize("f0_hz", [70.0, 98.0, 131.0, 220.0, 331.0, 440.0])
def test_a_steady_tone_is_found_within_one_percent(f0_hz: float) -> None:
    found = pitch.fundamental(buzz(f0_hz))[8:-8]
    assert np.abs(found / f0_hz - 1).max() < 0.01


def test_a_glide_is_followed_without_octave_jumps() -> None:
    contour = np.geomspace(110, 220, int(1.5 * SAMPLE_RATE_HZ))
    found = pitch.fundamental(buzz(contour))[8:-8]
    expected = contour[:: SAMPLE_RATE_HZ // FRAMES_PER_SECOND][8 : 8 + len(found)]
    assert np.abs(found / expected - 1).max() < 0.02


def test_a_missing_fundamental_is_still_heard() -> None:
    time = np.arange(SAMPLE_RATE_HZ) / SAMPLE_RATE_HZ
    tone = sum(0.1 * np.sin(2 * np.pi * 150 * order * time) for order in (2, 3, 4, 5))
    found = pitch.fundamental(np.asarray(tone, np.float32))[8:-8]
    assert np.median(found) == pytest.approx(150, rel=0.01)


def test_noise_and_silence_have_no_pitch() -> None:
    noise = np.random.default_rng(1).normal(0, 0.1, SAMPLE_RATE_HZ).astype(np.float32)
    assert (pitch.fundamental(noise) > 0).mean() < 0.1
    assert not pitch.fundamental(np.zeros(SAMPLE_RATE_HZ, np.float32)).any()


@pytest.mark.parametrize("samples", [0, 1, 299, 300, 301, 12_345])
def test_there_is_one_frame_per_hop(samples: int) -> None:
    assert len(pitch.fundamental(np.zeros(samples, np.float32))) == samples // 300 + 1


def test_level_does_not_matter() -> None:
    tone = buzz(123.0)
    assert np.allclose(pitch.fundamental(tone), pitch.fundamental(tone / 50), rtol=1e-3)


def test_a_stretch_far_outside_the_speakers_range_is_no_voice() -> None:
    voice = buzz(220.0)
    voice[12_000:16_800] = buzz(66.0, 0.2)
    found = pitch.fundamental(voice)[44:52]  # well inside the stretch
    assert not ((found > 0) & (found < 150)).any()
