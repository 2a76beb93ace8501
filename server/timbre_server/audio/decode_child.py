"""What does an untrusted file sound like?  Run as a process of its own, which binds itself before it reads a byte.

It imports little, because every upload starts it anew.  ``python -I -m timbre_server.audio.decode_child LIMITS``
"""

from __future__ import annotations

import io
import os
import resource
import signal
import sys
from collections.abc import Iterator
from typing import Any, Final

import av

# PyAV imports these on the first use of a kind of stream, and then no file can be opened any more.
import av.subtitles.codeccontext
import av.subtitles.stream
import av.video.codeccontext
import av.video.stream
import numpy as np
from av.audio.stream import AudioStream
from av.container import InputContainer
from av.error import FFmpegError, InvalidDataError

from timbre_server.audio.canonical import CanonicalStream
from timbre_server.audio.containers import Container, container_of
from timbre_server.audio.decode_wire import ChildLimits, Failure, Head
from timbre_server.audio.quantisation import Int16Samples, to_little_endian
from timbre_server.audio.voicing import voiced_seconds
from timbre_server.domain.pcm import Samples
from timbre_server.domain.voice import CANONICAL_SAMPLE_RATE_HZ

LENGTH_TOLERANCE_SECONDS: Final = 0.1
"""What codecs add to a recording of exactly the limit: mp3 and AAC pad both ends with up to two frames of 46 ms."""

_RATES_HZ: Final = range(8_000, 192_001)
"""Telephone to studio.  At 1 Hz every sample of an upload would become 24,000."""

_CHANNELS: Final = range(1, 7)
"""Up to 5.1.  PyAV 18.1 reads beyond the planes of a frame of 8 channels and crashes."""

_STANDARD_FILES: Final = 3
"""Descriptors that are open already.  With no number left for another, neither a file nor a socket can be opened,
whatever a demuxer is talked into."""


class Undecodable(Exception):
    """The upload gives no recording."""

    def __init__(self, failure: Failure) -> None:
        super().__init__(failure)
        self.failure = failure


def main(argument: str) -> None:
    """Reads an upload from standard input and writes a head and its samples to standard output."""
    limits = ChildLimits.from_argument(argument)
    bind(limits)
    data = sys.stdin.buffer.read(limits.max_bytes)
    try:
        values = decode(data, limits.max_seconds)
        head = Head(len(values), voiced_seconds(values, CANONICAL_SAMPLE_RATE_HZ))
    except Undecodable as error:
        values, head = np.zeros(0, dtype=np.int16), Head(failure=error.failure)
    sys.stdout.buffer.write(head.to_bytes() + to_little_endian(values))
    sys.stdout.buffer.flush()


def bind(limits: ChildLimits) -> None:
    """Takes away what decoding from memory does not need; the kernel ends a process that wants more."""
    for kind, bound in (
        (resource.RLIMIT_AS, limits.memory_bytes),
        (resource.RLIMIT_CPU, limits.cpu_seconds),
        (resource.RLIMIT_NOFILE, _STANDARD_FILES),
        (resource.RLIMIT_FSIZE, 0),
        (resource.RLIMIT_NPROC, 0),
        (resource.RLIMIT_CORE, 0),
    ):
        resource.setrlimit(kind, (bound, bound))
    # Should the parent die, nobody else would end a child that waits.
    signal.setitimer(signal.ITIMER_REAL, limits.wall_seconds)


def decode(data: bytes, max_seconds: float) -> Int16Samples:
    """The recording in canonical form, decoded no further than the limit.

    Raises:
        Undecodable: with the reason.
    """
    container = container_of(data)
    if container is None:
        raise Undecodable(Failure.UNSUPPORTED)
    recording = CanonicalStream()
    seconds = 0.0
    for samples, rate_hz in _pieces(data, container):
        seconds += len(samples) / rate_hz
        if seconds > max_seconds + LENGTH_TOLERANCE_SECONDS:
            raise Undecodable(Failure.TOO_LONG)
        recording.push(samples, rate_hz)
    if not seconds:
        raise Undecodable(Failure.NO_AUDIO)
    return recording.finish()


def _pieces(data: bytes, container: Container) -> Iterator[tuple[Samples, int]]:
    """Mono pieces with their rate, as far as the file can be decoded; what its headers claim counts for nothing."""
    options = {"codec_whitelist": ",".join(sorted(container.decoders)), "protocol_whitelist": "none"}
    try:
        with av.open(io.BytesIO(data), "r", format=container.demuxer, container_options=options) as opened:
            yield from _frames(opened, _audio_stream(opened, container))
    except (FFmpegError, ValueError):
        return  # a file that breaks off is as good as what came before


def _audio_stream(opened: InputContainer, container: Container) -> AudioStream:
    if not opened.streams.audio:
        raise Undecodable(Failure.NO_AUDIO)
    for stream in opened.streams.audio:
        if stream.codec_context is not None and stream.codec_context.codec.name in container.decoders:
            return stream
    raise Undecodable(Failure.CODEC)


def _frames(opened: InputContainer, stream: AudioStream) -> Iterator[tuple[Samples, int]]:
    for packet in opened.demux(stream):
        try:
            frames = packet.decode()
        except InvalidDataError:
            continue  # damage inside: the next packet may be whole
        for frame in frames:
            if frame.sample_rate not in _RATES_HZ or frame.layout.nb_channels not in _CHANNELS:
                raise Undecodable(Failure.OUT_OF_RANGE)
            yield mono(frame), frame.sample_rate


def mono(frame: av.AudioFrame) -> Samples:
    """The mean of all channels as floats of full scale 1.0; what is no number becomes silence."""
    raw: np.ndarray[Any, Any] = frame.to_ndarray()
    by_channel = raw if frame.format.is_planar else raw.reshape(-1, frame.layout.nb_channels).T
    match by_channel.dtype.kind:
        case "u":
            scaled = (by_channel.astype(np.float32) - 128) / 128  # WAV's 8 bits are unsigned
        case "i":
            scaled = by_channel.astype(np.float64) / -float(np.iinfo(by_channel.dtype).min)
        case _:
            scaled = np.nan_to_num(by_channel, posinf=0.0, neginf=0.0)
    mean: Samples = scaled.mean(axis=0).astype(np.float32)
    return mean


if __name__ == "__main__":
    main(sys.argv[1])
    # Nothing is left to tidy up, and the interpreter would take its time over it.
    os._exit(0)
