"""Features come back as they were, are readable by any tool, and whatever else is in Redis is as good as nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import safetensors.numpy
import xxhash
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as npst

from timbre_server.domain.voice import Features
from timbre_server.ports import TensorSpec
from timbre_server.voicecache import codec
from timbre_server.voicecache.codec import CorruptFeatures, decode, encode

KEY = "ab" * 32
SPEC = {
    "latents": TensorSpec("float32", (1, None, 4)),
    "speaker": TensorSpec("float32", (8,)),
    "frames": TensorSpec("int64", ()),
}
DTYPES = [
    "bool",
    "uint8",
    "int8",
    "uint16",
    "int16",
    "float16",
    "uint32",
    "int32",
    "float32",
    "uint64",
    "int64",
    "float64",
]


def some_features(frames: int = 3) -> Features:
    """What ``SPEC`` describes."""
    return {
        "latents": np.linspace(-1, 1, 4 * frames, dtype=np.float32).reshape(1, frames, 4),
        "speaker": np.arange(8, dtype=np.float32),
        "frames": np.array(frames, np.int64),
    }


def spec_of(features: Features) -> dict[str, TensorSpec]:
    """The strictest spec of these."""
    return {name: TensorSpec(array.dtype.name, array.shape) for name, array in features.items()}


def assert_equal(found: Features, expected: Features) -> None:
    assert found.keys() == expected.keys()
    for name, array in expected.items():
        assert found[name].dtype == array.dtype
        assert found[name].shape == array.shape
        assert found[name].tobytes() == array.tobytes()


def forged(header: dict[str, Any] | bytes, data: bytes = b"", *, header_bytes: int | None = None) -> bytes:
    """A blob with a right checksum, as somebody who may write Redis could make it; metadata is added to a dictionary."""
    if isinstance(header, dict):
        header = ("," + json.dumps(header)[1:]).encode() if header else b"}"
    covered = f'","schema":"{codec.SCHEMA_VERSION}","key":"{KEY}"}}'.encode() + header
    length = 28 + 16 + len(covered) if header_bytes is None else header_bytes
    checksum = xxhash.xxh3_64_hexdigest(covered + data, seed=length).encode()
    return length.to_bytes(8, "little") + b'{"__metadata__":{"xxh3_64":"' + checksum + covered + data


def entry(dtype: str, shape: list[Any], begin: Any, end: Any) -> dict[str, Any]:
    return {"dtype": dtype, "shape": shape, "data_offsets": [begin, end]}


def test_features_come_back_as_they_were() -> None:
    features = some_features()
    assert_equal(decode(encode(features, key=KEY), key=KEY, spec=SPEC), features)


def test_bit_patterns_of_a_type_that_numpy_lacks_come_back() -> None:
    features = {"latents": np.arange(12, dtype=np.uint16).reshape(3, 4)}
    spec = {"latents": TensorSpec("bfloat16", (None, 4))}
    assert_equal(decode(encode(features, key=KEY), key=KEY, spec=spec), features)


def test_decoding_makes_read_only_views_on_the_bytes_as_they_came() -> None:
    blob = encode(some_features(), key=KEY)
    whole = np.frombuffer(blob, np.uint8)
    for array in decode(blob, key=KEY, spec=SPEC).values():
        assert np.shares_memory(array, whole)
        assert not array.flags.writeable
        assert array.flags.aligned


def test_the_order_of_the_arrays_changes_no_byte() -> None:
    features = some_features()
    assert encode(dict(reversed(features.items())), key=KEY) == encode(features, key=KEY)


def test_wide_types_stand_before_narrow_ones_so_that_each_array_is_aligned() -> None:
    features = {"a": np.ones(3, np.uint8), "b": np.ones(1, np.float64), "c": np.ones(1, np.float32)}
    blob = encode(features, key=KEY)
    assert all(array.flags.aligned for array in decode(blob, key=KEY, spec=spec_of(features)).values())
    assert _data(blob) == _data(safetensors.numpy.save(features))


def test_bytes_that_a_connection_read_into_its_own_buffer_are_not_copied_either() -> None:
    buffer = bytearray(encode(some_features(), key=KEY))
    for array in decode(memoryview(buffer), key=KEY, spec=SPEC).values():
        assert np.shares_memory(array, np.frombuffer(buffer, np.uint8))
        assert not array.flags.writeable


def test_the_format_is_golden() -> None:
    """Changes only together with ``SCHEMA_VERSION``: pods of two releases share what is stored."""
    features = {"b": np.arange(3, dtype=np.float32), "a": np.arange(2, dtype=np.int64)}
    assert hashlib.sha256(encode(features, key=KEY)).hexdigest() == (
        "bd3b1e63325c0a6016d4f106424b1e8a63e637980dfcc6963c542e89b0e1722f"
    )


def test_the_safetensors_library_reads_it() -> None:
    features = some_features()
    blob = encode(features, key=KEY)
    assert_equal(safetensors.numpy.load(blob), features)
    metadata = json.loads(blob[8 : 8 + int.from_bytes(blob[:8], "little")])["__metadata__"]
    assert metadata["key"] == KEY
    assert metadata["schema"] == "1"
    assert set(metadata) == {"key", "schema", "xxh3_64"}


def test_the_bytes_of_arrays_are_those_that_the_safetensors_library_writes() -> None:
    features = some_features()
    theirs, ours = safetensors.numpy.save(dict(features)), encode(features, key=KEY)
    assert _data(ours) == _data(theirs)


def _data(blob: bytes) -> bytes:
    return blob[8 + int.from_bytes(blob[:8], "little") :]


@given(
    st.dictionaries(
        st.text(max_size=8).filter(lambda name: name != "__metadata__"),
        st.sampled_from(DTYPES).flatmap(
            lambda dtype: npst.arrays(dtype, npst.array_shapes(min_dims=0, max_dims=3, min_side=0, max_side=5))
        ),
        max_size=4,
    )
)
def test_every_type_shape_and_name_survives_and_safetensors_agrees(features: Features) -> None:
    blob = encode(features, key=KEY)
    assert_equal(decode(blob, key=KEY, spec=spec_of(features)), features)
    assert_equal(safetensors.numpy.load(blob), features)


def test_a_strided_array_is_stored_as_it_reads() -> None:
    features = {"a": np.arange(12, dtype=np.float32).reshape(3, 4).T}
    assert_equal(decode(encode(features, key=KEY), key=KEY, spec=spec_of(features)), features)


def test_big_endian_arrays_are_stored_as_what_they_mean() -> None:
    features = {"a": np.arange(5, dtype=">f4")}
    decoded = decode(encode(features, key=KEY), key=KEY, spec={"a": TensorSpec("float32", (5,))})
    assert decoded["a"].tolist() == [0, 1, 2, 3, 4]


def test_a_type_without_a_word_is_refused() -> None:
    with pytest.raises(ValueError, match="complex128"):
        encode({"a": np.zeros(3, np.complex128)}, key=KEY)


class TestFloat16:
    """Half the size, by option, and never infinity where there was none."""

    def test_float32_is_stored_in_half_and_widened(self) -> None:
        features = some_features(100)
        blob = encode(features, key=KEY, float16=True)
        assert len(blob) < 0.6 * len(encode(features, key=KEY))
        decoded = decode(blob, key=KEY, spec=SPEC)
        assert decoded["latents"].dtype == np.float32
        assert not decoded["latents"].flags.writeable
        assert np.abs(decoded["latents"] - features["latents"]).max() <= 2**-11
        assert decoded["frames"] == 100

    @pytest.mark.parametrize("value", [65_520.0, -65_520.0, 1e30, np.inf, np.nan])
    def test_values_beyond_its_range_keep_their_array_exact(self, value: float) -> None:
        features = some_features()
        features = {**features, "speaker": np.array([1 / 3] * 7 + [value], np.float32)}
        assert_equal(
            {"speaker": decode(encode(features, key=KEY, float16=True), key=KEY, spec=SPEC)["speaker"]},
            {"speaker": features["speaker"]},
        )

    def test_it_stays_half_where_the_encoder_gives_half(self) -> None:
        features = {"a": np.arange(5, dtype=np.float16)}
        assert_equal(decode(encode(features, key=KEY), key=KEY, spec=spec_of(features)), features)

    def test_float64_is_not_widened_from_it(self) -> None:
        blob = encode({"a": np.zeros(5, np.float16)}, key=KEY)
        with pytest.raises(CorruptFeatures, match="type"):
            decode(blob, key=KEY, spec={"a": TensorSpec("float64", (5,))})


class TestCorruption:
    """All of it is a miss, and none of it a crash."""

    def test_another_key(self) -> None:
        with pytest.raises(CorruptFeatures, match="key"):
            decode(encode(some_features(), key="cd" * 32), key=KEY, spec=SPEC)

    def test_another_schema(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(codec, "SCHEMA_VERSION", codec.SCHEMA_VERSION + 1)
        blob = encode(some_features(), key=KEY)
        monkeypatch.undo()
        with pytest.raises(CorruptFeatures, match="schema"):
            decode(blob, key=KEY, spec=SPEC)

    def test_cut_off_anywhere(self) -> None:
        blob = encode(some_features(), key=KEY)
        for length in range(len(blob)):
            with pytest.raises(CorruptFeatures):
                decode(blob[:length], key=KEY, spec=SPEC)

    def test_any_bit_flipped(self) -> None:
        blob = encode(some_features(), key=KEY)
        for at in range(len(blob)):
            damaged = bytearray(blob)
            damaged[at] ^= 1 << at % 8
            with pytest.raises(CorruptFeatures):
                decode(damaged, key=KEY, spec=SPEC)

    def test_something_behind_the_end(self) -> None:
        with pytest.raises(CorruptFeatures):
            decode(encode(some_features(), key=KEY) + b"\0", key=KEY, spec=SPEC)

    def test_a_file_that_safetensors_wrote_without_our_metadata(self) -> None:
        with pytest.raises(CorruptFeatures, match="not written by Timbre"):
            decode(safetensors.numpy.save(dict(some_features())), key=KEY, spec=SPEC)

    @given(st.binary(max_size=300))
    def test_any_bytes(self, blob: bytes) -> None:
        with pytest.raises(CorruptFeatures):
            decode(blob, key=KEY, spec=SPEC)

    @pytest.mark.parametrize("length", [2**63, 2**64 - 1, 100_000_000, codec._MAX_HEADER_BYTES + 1])
    def test_a_header_that_says_it_is_enormous(self, length: int) -> None:
        blob = length.to_bytes(8, "little") + encode(some_features(), key=KEY)[8:] + bytes(70_000)
        with pytest.raises(CorruptFeatures, match="longer"):
            decode(blob, key=KEY, spec=SPEC)


ONE = {"a": TensorSpec("float32", (2, None))}


def test_a_forged_blob_with_a_right_header_is_taken() -> None:
    blob = forged({"a": entry("F32", [2, 3], 0, 24)}, bytes(24))
    assert decode(blob, key=KEY, spec=ONE)["a"].shape == (2, 3)


@pytest.mark.parametrize(
    ("header", "data_bytes"),
    [
        pytest.param({"a": entry("F32", [2, 3], 0, 20)}, 20, id="the size is not that of the shape"),
        pytest.param({"a": entry("F32", [2, 3], 8, 32)}, 32, id="a gap before it"),
        pytest.param({"a": entry("F32", [2, 3], -24, 0)}, 24, id="negative offsets"),
        pytest.param({"a": entry("F32", [2, 3], 0, 24)}, 20, id="beyond the end"),
        pytest.param({"a": entry("F32", [2, 3], 0, 24)}, 28, id="data that belong to nobody"),
        pytest.param({"a": entry("F32", [2, 2**62], 0, 2**65)}, 24, id="an overflowing size"),
        pytest.param({"a": entry("F32", [2, -3], 0, -24)}, 24, id="a negative dimension"),
        pytest.param({"a": entry("F32", [2, True], 0, 8)}, 8, id="a dimension that is no number"),
        pytest.param({"a": entry("F32", [2.0, 3], 0, 24)}, 24, id="a dimension that is no integer"),
        pytest.param({"a": entry("F32", [2, 3], 0.0, 24.0)}, 24, id="offsets that are no integers"),
        pytest.param({"a": entry("F32", [3, 2], 0, 24)}, 24, id="another shape"),
        pytest.param({"a": entry("F32", [2], 0, 8)}, 8, id="fewer dimensions"),
        pytest.param({"a": entry("F32", [2, 3, 1], 0, 24)}, 24, id="more dimensions"),
        pytest.param({"a": entry("I32", [2, 3], 0, 24)}, 24, id="another type"),
        pytest.param({"a": entry("BF16", [2, 3], 0, 12)}, 12, id="a type that numpy lacks"),
        pytest.param({"a": entry("O", [2, 3], 0, 48)}, 48, id="python objects"),
        pytest.param({"a": [1, 2]}, 0, id="not an object"),
        pytest.param({"a": {"dtype": "F32", "shape": [2, 3]}}, 24, id="no place"),
        pytest.param({"b": entry("F32", [2, 3], 0, 24)}, 24, id="another name"),
        pytest.param({}, 0, id="no array"),
        pytest.param({"a": entry("F32", [2, 1], 0, 8), "b": entry("F32", [2, 1], 8, 16)}, 16, id="one more"),
        pytest.param(b',"a":' + b"[" * 20_000, 24, id="nested without end"),
        pytest.param(b',"a":' + b"9" * 5_000 + b"}", 24, id="a number without end"),
        pytest.param(b"\xff\xfe}", 0, id="not text"),
        pytest.param(b"", 0, id="no end of the header"),
    ],
)
def test_a_forged_header_is_refused(header: dict[str, Any] | bytes, data_bytes: int) -> None:
    with pytest.raises(CorruptFeatures):
        decode(forged(header, bytes(data_bytes)), key=KEY, spec=ONE)


@pytest.mark.parametrize("shape", [[0, 2**63], [10**30, 0], [0, 2**62]])
def test_an_empty_array_of_an_enormous_shape_is_refused(shape: list[int]) -> None:
    with pytest.raises(CorruptFeatures):
        decode(forged({"a": entry("F32", shape, 0, 0)}, b""), key=KEY, spec={"a": TensorSpec("float32", (None, None))})


def test_arrays_that_overlap_are_refused() -> None:
    spec = {"a": TensorSpec("uint8", (8,)), "b": TensorSpec("uint8", (8,))}
    apart = {"a": entry("U8", [8], 0, 8), "b": entry("U8", [8], 8, 16)}
    assert decode(forged(apart, bytes(16)), key=KEY, spec=spec).keys() == {"a", "b"}
    with pytest.raises(CorruptFeatures, match="overlap"):
        decode(forged({**apart, "b": entry("U8", [8], 0, 8)}, bytes(16)), key=KEY, spec=spec)
    with pytest.raises(CorruptFeatures, match="overlap"):
        decode(forged({**apart, "b": entry("U8", [8], 4, 12)}, bytes(12)), key=KEY, spec=spec)


def _smaller(spec: dict[str, TensorSpec]) -> dict[str, TensorSpec]:
    return {name: tensor for name, tensor in spec.items() if name != "speaker"}


def _other_dims(spec: dict[str, TensorSpec]) -> dict[str, TensorSpec]:
    return {**spec, "speaker": TensorSpec("float32", (9,))}


def _other_type(spec: dict[str, TensorSpec]) -> dict[str, TensorSpec]:
    return {**spec, "frames": TensorSpec("int32", ())}


@pytest.mark.parametrize("change", [_smaller, _other_dims, _other_type])
def test_features_of_another_encoder_are_refused_even_under_the_same_key(
    change: Callable[[dict[str, TensorSpec]], dict[str, TensorSpec]],
) -> None:
    blob = encode(some_features(), key=KEY)
    assert decode(blob, key=KEY, spec=SPEC)
    with pytest.raises(CorruptFeatures):
        decode(blob, key=KEY, spec=change(SPEC))
