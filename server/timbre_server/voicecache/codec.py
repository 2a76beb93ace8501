"""How do features become bytes that every pod can read, and that nobody can use to harm it?

The format is safetensors, so any tool can open what Redis holds; its ``__metadata__`` carries our schema version, the feature
key and a checksum over everything but the checksum itself.  Decoding makes views on the bytes as they came, without a copy.

References: https://huggingface.co/docs/safetensors (the format); https://xxhash.com (XXH3).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from typing import Any, Final

import numpy as np
import xxhash

from timbre_server.domain.pcm import Array
from timbre_server.domain.voice import Features
from timbre_server.ports import TensorSpec
from timbre_server.voicecache.keys import SCHEMA_VERSION

Blob = bytes | bytearray | memoryview

_WORDS: Final = {
    "bool": "BOOL",
    "uint8": "U8",
    "int8": "I8",
    "uint16": "U16",
    "int16": "I16",
    "float16": "F16",
    "uint32": "U32",
    "int32": "I32",
    "float32": "F32",
    "uint64": "U64",
    "int64": "I64",
    "float64": "F64",
}
"""numpy's name of a type -> safetensors' word for it."""

_DTYPES: Final = {word: np.dtype(name).newbyteorder("<") for name, word in _WORDS.items()}

_HALF: Final = "F16"

_LENGTH_BYTES: Final = 8
"""safetensors begins with the length of its header as 64 bits, little endian."""

_ALIGNMENT_BYTES: Final = 8
"""safetensors pads its header so that the data begin at a multiple of this."""

_MAX_HEADER_BYTES: Final = 65_536
"""A header of ours takes about 100 bytes for each array; safetensors itself would take 100 MB from a stranger."""

_BEFORE_CHECKSUM: Final = b'{"__metadata__":{"xxh3_64":"'
"""How each header of ours begins, so that the checksum stands at a fixed place and covers all that follows it."""

_CHECKSUM_DIGITS: Final = 16
_CHECKSUM_AT: Final = _LENGTH_BYTES + len(_BEFORE_CHECKSUM)
_COVERED_FROM: Final = _CHECKSUM_AT + _CHECKSUM_DIGITS


class CorruptFeatures(Exception):
    """These bytes are not the features that were asked for; to the cache they are as good as none."""


def encode(features: Features, *, key: str, float16: bool = False) -> bytes:
    """Features as a safetensors file; ``float16`` stores float32 arrays in half the size, where no value overflows.

    Raises:
        ValueError: an array has a type that the format lacks.
    """
    # The widest types first, as safetensors itself does: each array then lies at a multiple of its item's size.
    arrays = sorted(
        ((name, _stored(array, float16=float16)) for name, array in features.items()),
        key=lambda item: (-item[1].itemsize, item[0]),
    )
    begin, entries = 0, []
    for name, array in arrays:
        end = begin + array.nbytes
        place = {"dtype": _word(array), "shape": array.shape, "data_offsets": (begin, end)}
        entries.append(f",{json.dumps(name)}:{json.dumps(place, separators=(',', ':'))}")
        begin = end
    metadata = f'","schema":"{SCHEMA_VERSION}","key":{json.dumps(key)}}}'
    covered = (metadata + "".join(entries) + "}").encode()
    header_bytes = len(_BEFORE_CHECKSUM) + _CHECKSUM_DIGITS + len(covered)
    padding_bytes = -header_bytes % _ALIGNMENT_BYTES
    covered += b" " * padding_bytes
    header_bytes += padding_bytes
    # As bytes: joining pieces of another type copies them once more.
    pieces = [array.reshape(-1).view(np.uint8).data for _, array in arrays]
    checksum = xxhash.xxh3_64(covered, seed=header_bytes)
    for piece in pieces:
        checksum.update(piece)
    length = header_bytes.to_bytes(_LENGTH_BYTES, "little")
    return b"".join([length, _BEFORE_CHECKSUM, checksum.hexdigest().encode(), covered, *pieces])


def decode(blob: Blob, *, key: str, spec: Mapping[str, TensorSpec]) -> Features:
    """Features as read-only views on ``blob``, which must not change any more; float16 in the place of float32 is widened.

    Raises:
        CorruptFeatures: damaged, of another schema, under another key, or not what ``spec`` describes.
    """
    view = memoryview(blob).cast("B")
    header_bytes = _header_bytes(view)
    _check_sum(view, header_bytes)
    data_at = _LENGTH_BYTES + header_bytes
    header = _parsed(bytes(view[_LENGTH_BYTES:data_at]))
    _check_metadata(header.pop("__metadata__", None), key)
    if header.keys() != spec.keys():
        raise CorruptFeatures("other arrays than this encoder's")
    places = {name: _place(header[name], spec[name]) for name in spec}
    _check_tiling([place for _, _, place in places.values()], len(view) - data_at)
    return {
        name: _array(view[data_at + begin : data_at + end], dtype, shape, spec[name])
        for name, (dtype, shape, (begin, end)) in places.items()
    }


_Place = tuple["np.dtype[Any]", tuple[int, ...], tuple[int, int]]


def _word(array: Array) -> str:
    word = _WORDS.get(array.dtype.name)
    if word is None:
        raise ValueError(f"features of type {array.dtype.name} cannot be stored")
    return word


def _stored(array: Array, *, float16: bool) -> Array:
    made = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    if float16 and made.dtype == np.float32:
        with np.errstate(over="ignore"):
            half = made.astype(np.float16)
        if np.array_equal(np.isfinite(half), np.isfinite(made)):
            return half
    return made


def _header_bytes(view: memoryview) -> int:
    if len(view) < _COVERED_FROM:
        raise CorruptFeatures("too short")
    header_bytes = int.from_bytes(view[:_LENGTH_BYTES], "little")
    if header_bytes > _MAX_HEADER_BYTES or _LENGTH_BYTES + header_bytes > len(view):
        raise CorruptFeatures("the header is longer than what may be, or than what is there")
    return header_bytes


def _check_sum(view: memoryview, header_bytes: int) -> None:
    if bytes(view[_LENGTH_BYTES:_CHECKSUM_AT]) != _BEFORE_CHECKSUM:
        raise CorruptFeatures("not written by Timbre")
    expected = xxhash.xxh3_64_hexdigest(view[_COVERED_FROM:], seed=header_bytes)
    if bytes(view[_CHECKSUM_AT:_COVERED_FROM]) != expected.encode():
        raise CorruptFeatures("the checksum differs")


def _parsed(header: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(header)
    except (ValueError, RecursionError) as error:
        raise CorruptFeatures("the header is not JSON") from error
    if not isinstance(parsed, dict):
        raise CorruptFeatures("the header is not an object")
    return parsed


def _check_metadata(metadata: object, key: str) -> None:
    if not isinstance(metadata, dict) or metadata.get("schema") != str(SCHEMA_VERSION):
        raise CorruptFeatures("another schema")
    if metadata.get("key") != key:
        raise CorruptFeatures("the features of another key")


def _place(entry: object, spec: TensorSpec) -> _Place:
    match entry:
        case {"dtype": str(word), "shape": [*shape], "data_offsets": [int(begin), int(end)]} if word in _DTYPES:
            pass
        case _:
            raise CorruptFeatures("an array without type, shape and place")
    if word != _WORDS.get(spec.dtype) and not (word == _HALF and spec.dtype == "float32"):
        raise CorruptFeatures("an array of another type")
    if len(shape) != len(spec.dims) or not all(map(_fits, shape, spec.dims)):
        raise CorruptFeatures("an array of another shape")
    if end - begin != math.prod(shape) * _DTYPES[word].itemsize:
        raise CorruptFeatures("an array whose size is not that of its shape")
    return _DTYPES[word], tuple(shape), (begin, end)


def _fits(size: object, dim: int | None) -> bool:
    return type(size) is int and size >= 0 and (dim is None or size == dim)


def _check_tiling(places: list[tuple[int, int]], data_bytes: int) -> None:
    """Arrays lie one behind the other: no gap in which something hides, no overlap, nothing beyond the end."""
    at = 0
    for begin, end in sorted(places):
        if begin != at:
            raise CorruptFeatures("arrays overlap or leave a gap")
        at = end
    if at != data_bytes:
        raise CorruptFeatures("more or less data than the arrays take")


def _array(piece: memoryview, dtype: np.dtype[Any], shape: tuple[int, ...], spec: TensorSpec) -> Array:
    array = np.frombuffer(piece, dtype).reshape(shape)
    if dtype.name != spec.dtype:
        array = array.astype(spec.dtype)
    array.flags.writeable = False
    return array
