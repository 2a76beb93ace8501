"""How is a canonical recording kept: losslessly, in half the bytes?"""

from __future__ import annotations

import io
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
    if values.dtype != np.int16 or rate_hz is None or len(values) != promised:
        raise AudioUnreadable(_DAMAGED)
    return Pcm(from_int16(values), rate_hz)


def _decoded(data: bytes) -> tuple[Array, int | None, int | None]:
    """The samples, their rate, and how many samples the header promises."""
    with av.open(io.BytesIO(data), "r", format="flac") as container:
        stream = container.streams.audio[0]
        blocks: list[Array] = [frame.to_ndarray().reshape(-1) for frame in container.decode(stream)]
        return np.concatenate(blocks), stream.rate, stream.duration
