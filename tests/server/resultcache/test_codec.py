"""What was stored comes back to the bit, and nothing else ever does."""

import hashlib

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.resultcache.codec import HEAD_BYTES, CorruptResult, decode, encode, encode_too_long
from timbre_server.resultcache.takes import KeptTake, Label, TooLong, new_take_id, wav_from

KEY, OTHER_KEY = "ab" * 32, "cd" * 32
WAV = wav_from([np.arange(-50, 50, dtype=np.int16)], 24_000)
TAKE = KeptTake(Label("0123456789abcdef", 1_800_000_000.25, 24_000), WAV)
BLOB = encode(KEY, TAKE)

LABELS = st.builds(
    Label,
    id=st.binary(min_size=8, max_size=8).map(bytes.hex),
    created_at=st.integers(0, 2**40).map(lambda microseconds: microseconds / 1e6),
    sample_rate_hz=st.integers(1, 192_000),
)


def take_of(label: Label, samples: list[int]) -> KeptTake:
    return KeptTake(label, wav_from([np.array(samples, np.int16)], label.sample_rate_hz))


TAKES = st.builds(take_of, LABELS, st.lists(st.integers(-(2**15), 2**15 - 1), min_size=1, max_size=32))


@given(TAKES)
def test_a_take_comes_back_as_it_was(take: KeptTake) -> None:
    back = decode(encode(KEY, take), key=KEY)
    assert isinstance(back, KeptTake)
    assert bytes(back.wav) == take.wav
    assert back.label == take.label._replace(created_at=pytest.approx(take.label.created_at, abs=1e-6))


@given(st.integers(0, 8 * len(BLOB) - 1))
def test_one_bit_that_turned_makes_it_a_miss(bit: int) -> None:
    damaged = bytearray(BLOB)
    damaged[bit // 8] ^= 1 << bit % 8
    with pytest.raises(CorruptResult):
        decode(bytes(damaged), key=KEY)


@given(st.integers(0, len(BLOB) - 1))
def test_a_part_is_not_the_whole(length: int) -> None:
    with pytest.raises(CorruptResult):
        decode(BLOB[:length], key=KEY)


@given(st.binary(max_size=100))
def test_what_somebody_else_wrote_is_a_miss(rest: bytes) -> None:
    for blob in (rest, BLOB[:8] + rest, BLOB + rest):
        if blob != BLOB:
            with pytest.raises(CorruptResult):
                decode(blob, key=KEY)


def test_speech_of_another_key_is_a_miss() -> None:
    with pytest.raises(CorruptResult, match="another key"):
        decode(BLOB, key=OTHER_KEY)


@pytest.mark.parametrize(("rate", "samples"), [(0, [1]), (24_000, [])], ids=["no rate", "no samples"])
def test_silence_is_no_speech(rate: int, samples: list[int]) -> None:
    with pytest.raises(CorruptResult, match="no speech"):
        decode(encode(KEY, take_of(Label("00" * 8, 0.0, rate), samples)), key=KEY)


def test_a_file_of_another_rate_or_length_than_the_head_says_is_a_miss() -> None:
    for wav in (wav_from([np.zeros(100, np.int16)], 48_000), WAV + b"\0\0", WAV[:-1]):
        with pytest.raises(CorruptResult, match="another file"):
            decode(encode(KEY, KeptTake(TAKE.label, wav)), key=KEY)


def test_a_mark_says_which_limit_was_passed() -> None:
    assert decode(encode_too_long(KEY, TooLong(4 << 20)), key=KEY) == TooLong(4 << 20)
    with pytest.raises(CorruptResult):
        decode(encode_too_long(KEY, TooLong(4 << 20)), key=OTHER_KEY)


def test_decoding_copies_nothing_and_nobody_can_write_into_it() -> None:
    take = decode(BLOB, key=KEY)
    assert isinstance(take, KeptTake)
    assert isinstance(take.wav, memoryview)
    assert take.wav.obj is BLOB
    assert take.wav.readonly


def test_the_layout_is_golden() -> None:
    """Changes only together with the version in its first bytes: pods of two releases share a Redis while one replaces the
    other."""
    assert len(BLOB) == HEAD_BYTES + len(WAV)
    assert hashlib.sha256(BLOB).hexdigest() == "2a3a056a6607230997230197e1c43d1afb2ceafc1d75429f14b63ffad01d8474"


def test_a_take_knows_how_long_it_plays() -> None:
    assert TAKE.duration_seconds == 100 / 24_000


def test_no_two_takes_have_one_id() -> None:
    assert len({new_take_id() for _ in range(100)}) == 100
