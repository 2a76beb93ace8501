from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.audio.sounds import pieces, snr_db, tone
from timbre_server.audio.resampling import Resampler
from timbre_server.domain.pcm import Samples


def resampled(samples: Samples, from_hz: int, to_hz: int, sizes: tuple[int, ...] = ()) -> Samples:
    resampler = Resampler(from_hz, to_hz)
    return np.concatenate([resampler.push(piece) for piece in pieces(samples, sizes)] + [resampler.finish()])


@pytest.mark.parametrize("from_hz", [8_000, 16_000, 22_050, 44_100, 48_000, 192_000])
def test_a_tone_stays_the_same_tone(from_hz: int) -> None:
    made = resampled(tone(1_000, 1.0, from_hz), from_hz, 24_000)
    assert abs(len(made) - 24_000) <= 1
    middle = slice(2_400, 21_600)
    assert snr_db(made[middle], tone(1_000, 1.0, 24_000)[middle]) > 50


def test_what_the_lower_rate_cannot_hold_is_gone_and_not_mirrored() -> None:
    made = resampled(tone(20_000, 1.0, 48_000), 48_000, 24_000)
    assert np.abs(made[2_400:21_600]).max() < 3e-5  # one step of 16 bits


@settings(max_examples=20, deadline=None)
@given(sizes=st.lists(st.integers(0, 2_000), max_size=8))
def test_the_size_of_the_pieces_changes_nothing(sizes: list[int]) -> None:
    samples = tone(440, 0.2, 44_100)
    whole = resampled(samples, 44_100, 24_000)
    assert np.array_equal(resampled(samples, 44_100, 24_000, tuple(sizes)), whole)


def test_equal_rates_change_no_bit() -> None:
    samples = tone(440, 0.1)
    assert np.array_equal(resampled(samples, 24_000, 24_000, (7, 100)), samples)
