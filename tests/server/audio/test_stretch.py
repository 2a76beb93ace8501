from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.server.audio.sounds import RATE_HZ, pieces, tone, voice
from timbre_server.audio.stretch import Stretch
from timbre_server.domain.pcm import Samples

TEMPI = [0.25, 0.4, 0.5, 0.75, 0.97, 1.25, 1.9, 2.0, 2.5, 4.0]


def stretched(samples: Samples, tempo: float, sizes: tuple[int, ...] = (), rate_hz: int = RATE_HZ) -> Samples:
    stretch = Stretch(rate_hz, tempo)
    return np.concatenate([stretch.push(piece) for piece in pieces(samples, sizes)] + [stretch.finish()])


def pitch_hz(samples: Samples, rate_hz: int = RATE_HZ) -> float:
    """The strongest period between 60 and 400 Hz, by autocorrelation."""
    spectrum = np.fft.rfft(samples, 2 * len(samples))
    correlation = np.fft.irfft(np.abs(spectrum) ** 2)
    shortest, longest = rate_hz // 400, rate_hz // 60
    return rate_hz / (shortest + int(np.argmax(correlation[shortest:longest])))


@pytest.mark.parametrize("tempo", TEMPI)
@pytest.mark.parametrize("rate_hz", [16_000, 24_000, 44_100])
def test_output_lasts_input_over_tempo_to_the_sample(tempo: float, rate_hz: int) -> None:
    samples = voice(1.3, rate_hz)
    made = stretched(samples, tempo, (4_800,) * 3, rate_hz)
    assert len(made) == round(len(samples) / tempo)


@settings(max_examples=25, deadline=None)
@given(
    tempo=st.floats(0.25, 4.0, exclude_min=False).filter(lambda tempo: tempo != 1.0),
    sizes=st.lists(st.integers(0, 6_000), max_size=6),
    length=st.integers(0, 12_000),
)
@example(tempo=2.5, sizes=[], length=1)  # FFmpeg alone runs out of memory here
def test_length_is_right_for_every_tempo_and_every_size_of_pieces(tempo: float, sizes: list[int], length: int) -> None:
    assert len(stretched(tone(200, 0.5)[:length], tempo, tuple(sizes))) == round(length / tempo)


@pytest.mark.parametrize("tempo", TEMPI)
def test_pitch_of_a_tone_stays(tempo: float) -> None:
    made = stretched(tone(220, 3.0), tempo)
    spectrum = np.abs(np.fft.rfft(made * np.hanning(len(made))))
    assert np.argmax(spectrum) * RATE_HZ / len(made) == pytest.approx(220, abs=2)


@pytest.mark.parametrize("tempo", TEMPI)
def test_pitch_and_level_of_a_voice_stay(tempo: float) -> None:
    samples = voice(3.0, pitch_hz=140)
    made = stretched(samples, tempo)
    assert pitch_hz(made) == pytest.approx(pitch_hz(samples), rel=0.04)
    assert np.std(made) == pytest.approx(np.std(samples), rel=0.15)


@pytest.mark.parametrize("tempo", TEMPI)
def test_speech_lasts_up_to_the_end_and_nothing_is_added(tempo: float) -> None:
    made = stretched(tone(220, 2.0), tempo)
    loud = np.abs(made) > 0.1
    # Half a window of atempo, at slow tempi spread over 1 / tempo of it.
    assert len(made) - np.flatnonzero(loud)[-1] < 0.035 * RATE_HZ
    assert np.flatnonzero(loud)[0] < 0.005 * RATE_HZ


@given(sizes=st.lists(st.integers(0, 3_000), max_size=5))
def test_tempo_one_changes_no_bit(sizes: list[int]) -> None:
    samples = voice(0.3)
    assert np.array_equal(stretched(samples, 1.0, tuple(sizes)), samples)


def test_output_comes_while_input_still_goes_in() -> None:
    stretch = Stretch(RATE_HZ, 1.5)
    made = [len(stretch.push(piece)) for piece in pieces(voice(2.0), (2_400,) * 19)]
    assert sum(itertools.takewhile(lambda size: size == 0, made)) == 0
    assert next(index for index, size in enumerate(made) if size) < 5  # 0.5 s
    assert sum(made) > 0.7 * 2.0 / 1.5 * RATE_HZ


@pytest.mark.parametrize("tempo", [0.2, 4.1, 0.0, -1.0, float("nan")])
def test_tempo_outside_the_range_is_refused(tempo: float) -> None:
    with pytest.raises(ValueError, match="tempo"):
        Stretch(RATE_HZ, tempo)
