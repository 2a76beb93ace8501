from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.audio.decode_wire import LENGTH, MAX_HEAD_BYTES, ChildLimits, Failure, Head


@pytest.mark.parametrize("head", [Head(720_000, 29.97), *(Head(failure=failure) for failure in Failure)])
def test_a_head_comes_back_and_is_never_longer_than_allowed(head: Head) -> None:
    data = head.to_bytes()
    (length,) = LENGTH.unpack(data[:4])
    assert length == len(data) - 4 <= MAX_HEAD_BYTES
    assert Head.from_json(data[4:]) == head


def test_limits_come_back_as_they_went() -> None:
    limits = ChildLimits(10, 30.5, 1 << 30, 7, 20.0)
    assert ChildLimits.from_argument(limits.to_argument()) == limits


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"\xff",
        b"[]",
        b"null",
        b"{}",
        b'{"samples": -1, "voiced_seconds": 0.0}',
        b'{"samples": true, "voiced_seconds": 0.0}',
        b'{"samples": 1, "voiced_seconds": NaN}',
        b'{"samples": 1, "voiced_seconds": Infinity}',
        b'{"samples": 1, "voiced_seconds": "1"}',
        b'{"samples": 1, "voiced_seconds": 0.0, "failure": "because"}',
        b'{"samples": 1, "voiced_seconds": 0.0, "failure": []}',
        b"[" * 256,
    ],
)
def test_nonsense_is_no_head(body: bytes) -> None:
    with pytest.raises(ValueError):
        Head.from_json(body)


@given(st.binary(max_size=64))
def test_random_bytes_are_no_head(body: bytes) -> None:
    with pytest.raises(ValueError):
        Head.from_json(body)
