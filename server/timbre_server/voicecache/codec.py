"""How do features become bytes that every pod can read, and that nobody can use to harm it?

The format is safetensors, so any tool can open what Redis holds; its ``__metadata__`` carries our schema version, the feature
key and a checksum over everything but the checksum itself.  Decoding makes views on the bytes as they came, without a copy.

References: https://huggingface.co/docs/safetensors (the format); https://xxhash.com (XXH3).
"""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from functools import lru_cache
from typing import Any, Final, NamedTuple

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

_BITS: Final = {"bfloat16": "uint16"}
"""Types that numpy lacks -> in which the engine hands over their bit patterns."""

_HALF: Final = "F16"

_HALF_MAX: Final = float(np.finfo(np.float16).max)

_LAYOUTS: Final = 64
"""How many headers are remembered, written and parsed: an encoder has one, or one for each length of reference."""

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
    """Features as a safetensors file; ``float16`` stores float32 arrays in half the size, those in whose range they are.

    Raises:
        ValueError: an array has a type that the format lacks.
    """
    # The widest types first, as safetensors itself does: each array then lies at a multiple of its item's size.
    arrays = sorted(
        [(name, _stored(array, float16=float16)) for name, array in features.items()],
        key=lambda item: (-item[1].itemsize, item[0]),
    )
    covered = _metadata(key) + _table(tuple([(name, array.dtype, array.shape) for name, array in arrays]))
    header_bytes = _COVERED_FROM - _LENGTH_BYTES + len(covered)
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
    view = memoryview(blob).cast("B").toreadonly()
    header_bytes = _header_bytes(view)
    data_at = _LENGTH_BYTES + header_bytes
    metadata, covered = _metadata(key), bytes(view[_COVERED_FROM:data_at])
    if not covered.startswith(metadata):
        raise CorruptFeatures("another schema, or the features of another key")
    places, data_bytes = _places(covered[len(metadata) :], tuple(spec.items()))
    if len(view) - data_at != data_bytes:
        raise CorruptFeatures("more or less data than the arrays take")
    return {name: _array(view, data_at, place) for name, place in places.items()}


class _Place(NamedTuple):
    """What is known of one array without its bytes."""

    dtype: np.dtype[Any]
    shape: tuple[int, ...]
    begin: int
    end: int
    widened: bool
    """Whether it is float16 where the encoder's is float32."""


def _metadata(key: str) -> bytes:
    return f'","schema":"{SCHEMA_VERSION}","key":{json.dumps(key)}}}'.encode()


@lru_cache(_LAYOUTS)
def _table(layout: tuple[tuple[str, np.dtype[Any], tuple[int, ...]], ...]) -> bytes:
    """The header from behind the metadata to its closing brace."""
    begin, entries = 0, []
    for name, dtype, shape in layout:
        word = _WORDS.get(dtype.name)
        if word is None:
            raise ValueError(f"features of type {dtype.name} cannot be stored")
        end = begin + math.prod(shape) * dtype.itemsize
        place = {"dtype": word, "shape": shape, "data_offsets": (begin, end)}
        entries.append(f",{json.dumps(name)}:{json.dumps(place, separators=(',', ':'))}")
        begin = end
    return ("".join(entries) + "}").encode()


def _stored(array: Array, *, float16: bool) -> Array:
    made = np.asarray(array, array.dtype.newbyteorder("<"), order="C")
    if float16 and made.dtype == np.float32 and made.size and made.min() >= -_HALF_MAX and made.max() <= _HALF_MAX:
        return made.astype(np.float16)  # NaN is within no range: such an array stays as it is
    return made


def _header_bytes(view: memoryview) -> int:
    """The length of the header of bytes that are as they were written."""
    head = bytes(view[:_COVERED_FROM])
    header_bytes = int.from_bytes(head[:_LENGTH_BYTES], "little")
    if header_bytes > _MAX_HEADER_BYTES:
        raise CorruptFeatures("the header is longer than any of ours")
    if head[_LENGTH_BYTES:_CHECKSUM_AT] != _BEFORE_CHECKSUM:
        raise CorruptFeatures("not written by Timbre")
    if head[_CHECKSUM_AT:] != xxhash.xxh3_64_hexdigest(view[_COVERED_FROM:], seed=header_bytes).encode():
        raise CorruptFeatures("the checksum differs")
    return header_bytes


@lru_cache(_LAYOUTS)
def _places(table: bytes, spec: tuple[tuple[str, TensorSpec], ...]) -> tuple[Mapping[str, _Place], int]:
    """Where each array of the spec lies, and how many bytes they take together."""
    try:
        entries = json.loads(b"{" + table.removeprefix(b","))
    except (ValueError, RecursionError) as error:
        raise CorruptFeatures("the header is not JSON") from error
    if not isinstance(entries, dict) or entries.keys() != {name for name, _ in spec}:
        raise CorruptFeatures("other arrays than this encoder's")
    places = {name: _place(entries[name], expected) for name, expected in spec}
    data_bytes = 0
    for place in sorted(places.values(), key=lambda place: (place.begin, place.end)):
        if place.begin != data_bytes:
            raise CorruptFeatures("arrays overlap or leave a gap in which something could hide")
        data_bytes = place.end
    return places, data_bytes


def _place(entry: object, spec: TensorSpec) -> _Place:
    match entry:
        case {"dtype": str(word), "shape": [*shape], "data_offsets": [int(begin), int(end)]} if word in _DTYPES:
            pass
        case _:
            raise CorruptFeatures("an array without type, shape and place")
    widened = word == _HALF and spec.dtype == "float32"
    if word != _WORDS.get(_BITS.get(spec.dtype, spec.dtype)) and not widened:
        raise CorruptFeatures("an array of another type")
    if len(shape) != len(spec.dims) or not all(map(_fits, shape, spec.dims)):
        raise CorruptFeatures("an array of another shape")
    if end - begin != math.prod(shape) * _DTYPES[word].itemsize:
        raise CorruptFeatures("an array whose size is not that of its shape")
    return _Place(_DTYPES[word], tuple(shape), begin, end, widened)


def _fits(size: object, dim: int | None) -> bool:
    return type(size) is int and size >= 0 and (dim is None or size == dim)


def _array(view: memoryview, data_at: int, place: _Place) -> Array:
    try:
        array: Array = np.ndarray(place.shape, place.dtype, view, data_at + place.begin)
    except ValueError as error:  # 0 times 2^63: no bytes, and yet more than numpy can count
        raise CorruptFeatures("an array of a shape that nothing has") from error
    if place.widened:
        array = array.astype(np.float32)
        array.flags.writeable = False
    return array
