from __future__ import annotations

import hashlib

import numpy as np

from tests.server.audio.sounds import snr_db, tone, voice
from timbre_server.audio.canonical import CanonicalStream, canonical, digest_of
from timbre_server.audio.quantisation import from_int16


def test_canonical_pcm_is_its_own_canonical_form() -> None:
    once = canonical(voice(0.5, 44_100), 44_100)
    twice = canonical(once.samples, once.sample_rate_hz)
    assert once.sample_rate_hz == 24_000
    assert np.array_equal(once.samples, twice.samples)
    assert digest_of(once) == digest_of(twice)


def test_digest_is_sha256_of_little_endian_16_bit_samples() -> None:
    pcm = canonical(np.array([1 / 32768, -1.0, 0.5], dtype=np.float32), 24_000)
    assert digest_of(pcm) == hashlib.sha256(b"\x01\x00\x00\x80\x00\x40").hexdigest()


def test_one_other_bit_is_another_digest() -> None:
    samples = voice(0.2)
    other = samples.copy()
    other[100] += 1 / 32768
    assert digest_of(canonical(samples, 24_000)) != digest_of(canonical(other, 24_000))


def test_a_rate_that_changes_on_the_way_keeps_time_and_pitch() -> None:
    stream = CanonicalStream()
    stream.push(tone(500, 1.0, 48_000), 48_000)
    stream.push(tone(500, 1.0, 16_000), 16_000)
    stream.push(tone(500, 1.0, 24_000), 24_000)
    made = from_int16(stream.finish())
    assert abs(len(made) - 72_000) <= 2
    for start in (0, 24_000, 48_000):
        middle = made[start + 2_400 : start + 21_600]
        assert snr_db(middle, tone(500, 1.0)[2_400:21_600]) > 40


def test_beyond_full_scale_it_is_cut_off_before_the_filter_sees_it() -> None:
    # The largest float: a filter that saw it would overflow.
    made = canonical(np.sign(tone(100, 0.2, 48_000)) * np.finfo(np.float32).max, 48_000)
    # The resampler rings at the edges of a square wave by 9 %; a wrapped value would be at the other rail.
    assert np.abs(made.samples).max() <= 1.0
    assert made.samples[10:110].min() > 0.85
