from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from timbre_server.engine.embedded.frames import BINS, Frames
from timbre_server.engine.embedded.spikes import ALLOWED, without_spikes


def voiced(levels: list[float]) -> Frames:
    rows = np.tile(np.asarray(levels, np.float32), (BINS, 1))
    return Frames(rows, rows * 0, rows * 0, rows * 0, np.full(len(levels), 180.0, np.float32))


@pytest.mark.parametrize("width", [1, 2])
def test_a_spike_is_lowered_to_its_surroundings(width: int) -> None:
    levels = [1.0] * 8 + [4.0] * width + [1.5] * 8
    calm = without_spikes(voiced(levels)).harmonic
    assert calm[:, 8 : 8 + width] == pytest.approx(1.5 + ALLOWED)


def test_an_onset_stays() -> None:
    frames = voiced([-5.0] * 8 + [3.0] * 8)
    assert np.array_equal(without_spikes(frames).harmonic, frames.harmonic)


def test_unvoiced_frames_stay() -> None:
    frames = voiced([1.0] * 8 + [4.0] + [1.0] * 8)
    unvoiced = replace(frames, f0_hz=np.where(np.arange(17) == 8, 0, frames.f0_hz).astype(np.float32))
    assert without_spikes(unvoiced) is unvoiced


def test_the_frames_of_the_caller_are_not_changed() -> None:
    frames = voiced([1.0] * 8 + [4.0] + [1.0] * 8)
    without_spikes(frames)
    assert frames.harmonic[0, 8] == 4.0
