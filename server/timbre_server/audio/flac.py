"""How is a canonical recording kept: losslessly, in half the bytes?"""

from __future__ import annotations

from typing import Final

import av
import numpy as np
from av.error import FFmpegError

from timbre_server.audio.encoding import encode
from timbre_server.audio.quantisation import from_int16
from timbre_server.domain.pcm import Array, Pcm
from timbre_server.domain.speech import AudioFormat
from timbre_server.errors import AudioUnreadable

_DAMAGED: Final = "The stored recording is damaged."

# RFC 9639: the file begins with its magic (section 6), then STREAMINFO of 34 bytes (8.2), each block after four bytes of
# its own: whether it is the last one, its type and its size (8.1).
_MAGIC: Final = b"fLaC"
_BLOCK_HEAD: Final = 4
_LAST: Final = 0x80
_STREAMINFO: Final = 34


def to_flac(pcm: Pcm) -> bytes:
    """A FLAC file of 16-bit samples; lossless for canonical PCM, whose samples are 16-bit values."""
    return encode(pcm.samples, pcm.sample_rate_hz, AudioFormat.FLAC)


def from_flac(data: bytes) -> Pcm:
    """What ``to_flac`` was given.  For our own files only: an upload is decoded by ``decoding``.

    Raises:
        AudioUnreadable: these bytes are not from ``to_flac``, or are damaged.
    """
    try:
        values, rate_hz, promised = _decoded(data)
    except (FFmpegError, IndexError, ValueError) as error:
        raise AudioUnreadable(_DAMAGED) from error
    if values.dtype != np.int16 or not rate_hz or len(values) != promised:
        raise AudioUnreadable(_DAMAGED)
    return Pcm(from_int16(values), rate_hz)


def _decoded(data: bytes) -> tuple[Array, int, int]:
    """The samples, their rate, and how many samples the header promises.

    Without FFmpeg's demuxer, which finds frames by what looks like the beginning of one: where the sound itself does, which is
    seldom, it hands out half a frame.  It also checks no sum, as the decoder does here.
    """
    header, frames = _parts(data)
    codec = av.AudioCodecContext.create("flac", "r")
    codec.extradata = header
    codec.options = {"err_detect": "crccheck+explode"}
    codec.thread_count = 1  # one packet has all frames, and one decoder takes them in turn
    packets = (av.Packet(frames), None)
    blocks: list[Array] = [frame.to_ndarray().reshape(-1) for packet in packets for frame in codec.decode(packet)]
    rate_and_length = int.from_bytes(header[10:18], "big")  # 20 bits of rate, 8 of form, 36 of length
    return np.concatenate(blocks), rate_and_length >> 44, rate_and_length & (1 << 36) - 1


def _parts(data: bytes) -> tuple[bytes, bytes]:
    """STREAMINFO, and all frames.  Raises: ValueError, IndexError: it does not begin as a FLAC file does."""
    begin = len(_MAGIC) + _BLOCK_HEAD
    if not data.startswith(_MAGIC) or data[len(_MAGIC)] & ~_LAST or len(data) < begin + _STREAMINFO:
        raise ValueError
    place = len(_MAGIC)
    while True:
        head = data[place]
        place += _BLOCK_HEAD + int.from_bytes(data[place + 1 : place + _BLOCK_HEAD], "big")
        if head & _LAST:
            return data[begin : begin + _STREAMINFO], data[place:]
