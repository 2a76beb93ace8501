"""How does finished speech become bytes that every pod can read, and that are never taken for other speech?

A fixed head, then a WAV file: decoding makes a view on the bytes as they came, without a copy.

=====  =======================================================================
bytes  what
=====  =======================================================================
8      ``timbre`` and the version of this layout
8      XXH3 over all that follows, little endian
32     the key
8      the take's id
8      when it was made: Unix time in microseconds
4      samples per second
4      number of samples
8      0, or the limit in bytes which this speech would have passed: then there is no file
...    a WAV file of 16-bit mono samples with true lengths
=====  =======================================================================

A signpost has no file either, and zeros for all but the key; the 32 bytes behind its head are another key.

References: https://xxhash.com (XXH3).
"""

from __future__ import annotations

import struct
from typing import Final

import xxhash

from timbre_server.audio.raw_encoder import WAV_HEADER_BYTES, wav_header
from timbre_server.ports import Blob
from timbre_server.resultcache.takes import BYTES_PER_SAMPLE, KeptTake, Label, TooLong

_MAGIC: Final = b"timbre\x00\x01"
_SUM: Final = struct.Struct("<Q")
_HEAD: Final = struct.Struct("<32s8sqIIQ")
_COVERED_FROM: Final = len(_MAGIC) + _SUM.size
HEAD_BYTES: Final = _COVERED_FROM + _HEAD.size
_MICROSECONDS: Final = 1_000_000
_NO_TAKE: Final = bytes(8)
KEY_BYTES: Final = 32


class CorruptResult(Exception):
    """These bytes are not the speech that was asked for; to the cache they are as good as none."""


def encode(key: str, take: KeptTake) -> bytes:
    """The take under its key, ``HEAD_BYTES`` longer than its file."""
    take_id, created_at, sample_rate_hz = take.label
    made_at = round(created_at * _MICROSECONDS)
    samples = (len(take.wav) - WAV_HEADER_BYTES) // BYTES_PER_SAMPLE
    head = _HEAD.pack(bytes.fromhex(key), bytes.fromhex(take_id), made_at, sample_rate_hz, samples, 0)
    return _framed(head, take.wav)


def encode_too_long(key: str, too_long: TooLong) -> bytes:
    """A mark in the place of speech."""
    return _framed(_HEAD.pack(bytes.fromhex(key), _NO_TAKE, 0, 0, 0, too_long.limit_bytes), b"")


def encode_signpost(key: str, other: str) -> bytes:
    """Under one key the word that speech is kept under another one."""
    return _framed(_HEAD.pack(bytes.fromhex(key), _NO_TAKE, 0, 0, 0, 0), bytes.fromhex(other))


def decode_signpost(blob: Blob, *, key: str) -> str:
    """The key that it points to.  Raises: CorruptResult: as ``decode``."""
    (_, made_at, sample_rate_hz, samples, limit_bytes), other = _opened(blob, key)
    if made_at or sample_rate_hz or samples or limit_bytes or len(other) != KEY_BYTES:
        raise CorruptResult("no signpost")
    return other.hex()


def decode(blob: Blob, *, key: str) -> KeptTake | TooLong:
    """What was encoded, as a view on ``blob``, which must not change any more.

    Raises:
        CorruptResult: damaged, of another layout, or under another key.
    """
    (take_id, made_at, sample_rate_hz, samples, limit_bytes), wav = _opened(blob, key)
    if limit_bytes:
        if wav:
            raise CorruptResult("a mark with speech behind it")
        return TooLong(limit_bytes)
    if not samples or not sample_rate_hz:
        raise CorruptResult("no speech")
    header = wav_header(sample_rate_hz, samples)
    if len(wav) != len(header) + samples * BYTES_PER_SAMPLE or wav[: len(header)].tobytes() != header:
        raise CorruptResult("another file than the head says")
    return KeptTake(Label(take_id.hex(), made_at / _MICROSECONDS, sample_rate_hz), wav)


def _opened(blob: Blob, key: str) -> tuple[tuple[bytes, int, int, int, int], memoryview]:
    """What the head says behind the key, and what follows the head."""
    view = memoryview(blob).cast("B").toreadonly()
    if len(view) < HEAD_BYTES or bytes(view[: len(_MAGIC)]) != _MAGIC:
        raise CorruptResult("not written by Timbre, or by another version")
    if _SUM.unpack_from(view, len(_MAGIC))[0] != xxhash.xxh3_64_intdigest(view[_COVERED_FROM:]):
        raise CorruptResult("the checksum differs")
    raw_key, take_id, made_at, sample_rate_hz, samples, limit_bytes = _HEAD.unpack_from(view, _COVERED_FROM)
    if raw_key.hex() != key:
        raise CorruptResult("the speech of another key")
    return (take_id, made_at, sample_rate_hz, samples, limit_bytes), view[HEAD_BYTES:]


def _framed(head: bytes, wav: Blob) -> bytes:
    checksum = xxhash.xxh3_64(head)
    checksum.update(wav)
    return b"".join([_MAGIC, _SUM.pack(checksum.intdigest()), head, wav])
