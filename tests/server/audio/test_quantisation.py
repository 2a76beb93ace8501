from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.audio.quantisation import from_int16, from_little_endian, to_int16, to_little_endian


def test_every_16_bit_value_survives_the_way_through_float() -> None:
    values = np.arange(-32768, 32768).astype(np.int16)
    assert np.array_equal(to_int16(from_int16(values)), values)


@given(st.floats(-1e6, 1e6, width=32))
def test_rounding_is_to_the_nearest_and_stops_at_full_scale(sample: float) -> None:
    (value,) = to_int16(np.array([sample], dtype=np.float32))
    assert abs(int(value) - np.clip(sample * 32768.0, -32768, 32767)) <= 0.51


def test_bytes_are_little_endian_both_ways() -> None:
    values = np.array([1, -2, 256], dtype=np.int16)
    assert to_little_endian(values) == b"\x01\x00\xfe\xff\x00\x01"
    assert np.array_equal(from_little_endian(to_little_endian(values)), values)
