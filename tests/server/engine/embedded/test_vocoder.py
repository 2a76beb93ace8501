from __future__ import annotations

import numpy as np
import pytest

from timbre_server.engine.embedded import vocoder
from timbre_server.engine.embedded.acoustic import AcousticModel
from timbre_server.engine.embedded.frames import BINS, HOP, SAMPLE_RATE_HZ, WINDOW, Floats, Frames


def steady(count: int = 80, f0_hz: float = 200.0, harmonic: float = 3.0, residual: float = -20.0) -> Frames:
    zeros = np.zeros((BINS, count), np.float32)
    return Frames(zeros + harmonic, zeros, zeros + residual, zeros, np.full(count, f0_hz, np.float32))


def rendered(frames: Frames, *sizes: int) -> Floats:
    bounds = np.cumsum([0, *sizes])
    blocks = [frames[start:end] for start, end in zip(bounds, [*bounds[1:], len(frames)], strict=True)]
    return np.concatenate(list(vocoder.render(frames.f0_hz, blocks)))


def test_harmonics_have_the_asked_amplitude() -> None:
    wave = rendered(steady(harmonic=3.0))[SAMPLE_RATE_HZ // 4 : SAMPLE_RATE_HZ // 4 + 12_000]
    spectrum = np.abs(np.fft.rfft(wave)) / 6000
    # A frame's magnitude is that under a window of mean 1/2 and 1,200 samples: e**3 stands for e**3 / 300.
    assert spectrum[100] == pytest.approx(np.exp(3) / 300, rel=0.01)
    assert spectrum[1000] == pytest.approx(np.exp(3) / 300, rel=0.01)
    assert spectrum[150] < 1e-3


def test_no_harmonic_lies_above_the_top() -> None:
    train = vocoder.pulse_train(np.full(80, 210.0, np.float32))[:24_000]
    spectrum = np.abs(np.fft.rfft(train * np.hanning(24_000)))
    assert spectrum[11_100:].max() < 1e-3 * spectrum.max()


def test_unvoiced_frames_have_no_pulses() -> None:
    assert not vocoder.pulse_train(np.zeros(10, np.float32)).any()
    half = vocoder.pulse_train(np.asarray([150.0] * 10 + [0.0] * 10, np.float32))
    assert half[: 10 * HOP].any()
    assert not half[10 * HOP :].any()


def test_blocks_sound_as_the_whole(model: AcousticModel) -> None:
    frames = model.frames(model.phonemes("The boats lay still in the morning light.")[0])
    whole = rendered(frames)
    assert len(whole) == vocoder.samples_of(len(frames))
    assert rendered(frames, 5, 40, 1, 60) == pytest.approx(whole, abs=1e-6)


def test_edges_rise_from_silence() -> None:
    wave = rendered(steady(residual=2.0))
    assert abs(wave[0]) < 1e-4
    assert abs(wave[-1]) < 1e-3
    assert np.abs(wave[: WINDOW // 8]).max() < np.abs(wave).max()


def test_one_frame_can_sound() -> None:
    assert len(rendered(steady(1))) == WINDOW
