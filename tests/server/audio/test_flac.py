from __future__ import annotations

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tests.server.audio.sounds import tone, voice
from timbre_server.audio.canonical import canonical, digest_of
from timbre_server.audio.encoding import encode
from timbre_server.audio.flac import from_flac, to_flac
from timbre_server.audio.quantisation import from_int16
from timbre_server.domain.pcm import Pcm
from timbre_server.domain.speech import AudioFormat
from timbre_server.errors import AudioUnreadable


@settings(max_examples=30, deadline=None)
@given(
    seed=st.integers(0, 2**32 - 1),
    length=st.integers(1, 30_000),
    spread=st.sampled_from([1, 300, 32_767]),
)
@example(seed=1223, length=1223, spread=32_767)  # in the midst of its one frame is what looks like the beginning of one
def test_canonical_pcm_comes_back_bit_for_bit(seed: int, length: int, spread: int) -> None:
    values = np.random.default_rng(seed).integers(-spread - 1, spread + 1, length).astype(np.int16)
    pcm = Pcm(from_int16(values), 24_000)
    back = from_flac(to_flac(pcm))
    assert back.sample_rate_hz == 24_000
    assert np.array_equal(back.samples, pcm.samples)
    assert digest_of(back) == digest_of(pcm)


def test_thirty_seconds_come_back_and_take_less_room_than_the_samples() -> None:
    pcm = canonical(voice(30.0), 24_000)
    data = to_flac(pcm)
    assert np.array_equal(from_flac(data).samples, pcm.samples)
    assert len(data) < 2 * len(pcm.samples)


@pytest.mark.parametrize(
    "data",
    [b"", b"fLaC", b"fLaC" + bytes(300), encode(tone(200, 0.1), 24_000, AudioFormat.WAV), b"#EXTM3U\nsecret.flac\n"],
    ids=["empty", "magic only", "zeros", "wav", "play list"],
)
def test_other_bytes_are_unreadable(data: bytes) -> None:
    with pytest.raises(AudioUnreadable):
        from_flac(data)


def test_a_file_that_was_cut_is_unreadable_and_not_a_shorter_voice() -> None:
    data = to_flac(canonical(voice(2.0), 24_000))
    with pytest.raises(AudioUnreadable):
        from_flac(data[: len(data) // 2])


@settings(max_examples=100, deadline=None)
@given(place=st.floats(0, 1, exclude_max=True), bit=st.integers(0, 7))
def test_one_bit_that_has_changed_is_unreadable_and_not_another_sound(place: float, bit: int) -> None:
    data = bytearray(to_flac(canonical(voice(0.5), 24_000)))
    first = len(data) - 1_000  # all of it is sound
    data[first + int(place * 1_000)] ^= 1 << bit
    with pytest.raises(AudioUnreadable):
        from_flac(bytes(data))


def test_a_file_that_promises_one_sample_more_is_unreadable() -> None:
    data = bytearray(to_flac(canonical(voice(0.5), 24_000)))
    data[25] += 1  # the last byte of the number of samples (RFC 9639, section 8.2)
    with pytest.raises(AudioUnreadable):
        from_flac(bytes(data))
