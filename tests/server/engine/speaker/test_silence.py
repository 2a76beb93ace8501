from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from tests.quality.recordings import load
from timbre_server.engine.speaker.silence import WINDOW, cut_pauses, voiced_windows

SECOND = 16_000


def noise(seconds: float, level: float) -> np.ndarray:
    count = round(seconds * SECOND)
    return (np.random.default_rng(2).standard_normal(count) * level).astype(np.float32)


def test_a_long_pause_is_cut_down_to_its_edges() -> None:
    samples = np.concatenate([noise(1, 0.1), noise(3, 0.0005), noise(1, 0.1)])
    kept = cut_pauses(samples)
    # Each edge keeps what the smoothing over 8 windows and the widening by 3 reach: at most 7 windows of 30 ms.
    assert 2 * SECOND <= len(kept) <= 2 * SECOND + 2 * 7 * WINDOW


def test_a_short_gap_between_words_stays() -> None:
    samples = np.concatenate([noise(1, 0.1), noise(0.1, 0.0), noise(1, 0.1)])
    assert len(cut_pauses(samples)) > 2.05 * SECOND


def test_read_speech_keeps_its_speech() -> None:
    pcm = load("librivox-male")
    assert 0.9 < len(cut_pauses(pcm.samples)) / len(pcm.samples) <= 1


def test_the_level_of_a_recording_does_not_move_the_cuts() -> None:
    samples = load("librivox-male").samples
    assert np.array_equal(voiced_windows(samples), voiced_windows(samples * np.float32(0.05)))


def test_evenly_loud_audio_is_kept_whole() -> None:
    samples = noise(1.01, 0.01)
    assert len(cut_pauses(samples)) == len(samples) // WINDOW * WINDOW


@given(st.integers(0, 3 * WINDOW))
def test_audio_of_any_length_keeps_something(count: int) -> None:
    samples = np.full(count, 0.1, np.float32)
    assert 0 < len(cut_pauses(samples)) <= count or count == 0
