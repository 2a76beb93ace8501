"""How does speech become mp3, opus, aac or flac, packet by packet, so that its first bytes leave early?

FFmpeg's encoders and muxers inside PyAV's wheel do the work; one ``ContainerEncoder`` writes one file.
"""

from __future__ import annotations

import contextlib
import io
from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any, Final

import av
import numpy as np
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from timbre_server.audio.quantisation import to_int16
from timbre_server.audio.resampling import Resampler
from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import AudioFormat
from timbre_server.errors import EncodingError


@dataclass(frozen=True)
class Recipe:
    """Which codec in which container, and with what options, makes a format."""

    container: str
    """FFmpeg's name of the muxer."""
    codec: str
    """FFmpeg's name of the encoder."""
    sample_format: str
    """FFmpeg's name of the sample type that the encoder takes."""
    rates_hz: tuple[int, ...] = ()
    """Legal rates, ascending; empty = every rate."""
    bit_rate: int = 0
    """Bits per second; 0 = lossless."""
    codec_options: Mapping[str, str] = field(default_factory=dict)
    container_options: Mapping[str, str] = field(default_factory=dict)


LAME_DELAY_SAMPLES: Final = 1105
"""Silence that LAME puts before the first sample, as a decoder hears it: 576 of the encoder and 529 of every
decoder (LAME's technical FAQ; measured)."""

AAC_PRIMING_SAMPLES: Final = 1024
"""Silence before the first sample of FFmpeg's AAC encoder, one frame.  ADTS has no field to say so."""

RECIPES: Final[Mapping[AudioFormat, Recipe]] = {
    # FFmpeg leaves the Xing frame out where it cannot go back to fill it in, and then a player knows the length of
    # a stream's copy from size / bit rate only: hence a constant bit rate.
    # 64 kbit/s is the 2.7 bits per sample of 128 kbit/s at 48 kHz mono.  Without the bit reservoir each frame
    # stands alone, so that the silent first one can be left out (0.4 dB of SNR, measured).
    AudioFormat.MP3: Recipe(
        container="mp3",
        codec="libmp3lame",
        sample_format="fltp",
        rates_hz=(8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
        bit_rate=64_000,
        codec_options={"reservoir": "0"},
        container_options={"id3v2_version": "0"},
    ),
    # 40 kbit/s is the upper end of the codec's sweet spot for full-band speech (RFC 6716, section 2.1.1).
    # A page per 100 ms: 28 bytes of page header each are 5 % of that, and a listener waits for 5 packets only.
    AudioFormat.OPUS: Recipe(
        container="ogg",
        codec="libopus",
        sample_format="flt",
        rates_hz=(8_000, 12_000, 16_000, 24_000, 48_000),
        bit_rate=40_000,
        codec_options={"application": "audio", "frame_duration": "20"},
        container_options={"page_duration": "100000"},
    ),
    # 64 kbit/s as for mp3: FFmpeg's encoder is no better than LAME at speech.
    AudioFormat.AAC: Recipe(
        container="adts",
        codec="aac",
        sample_format="fltp",
        rates_hz=(8_000, 11_025, 12_000, 16_000, 22_050, 24_000, 32_000, 44_100, 48_000),
        bit_rate=64_000,
    ),
    # Without an explicit 0 the muxer keeps 8 KiB free for tags, 45 ms of audio that say nothing.
    AudioFormat.FLAC: Recipe(
        container="flac",
        codec="flac",
        sample_format="s16",
        container_options={"metadata_header_padding": "0"},
    ),
}


class _Outlet:
    """Where a muxer writes when nobody can seek: bytes wait here until they are taken."""

    def __init__(self) -> None:
        self._waiting = bytearray()

    def write(self, data: bytes) -> int:
        self._waiting += data
        return len(data)

    def take(self) -> bytes:
        taken = bytes(self._waiting)
        self._waiting.clear()
        return taken


class ContainerEncoder:
    """An encoder of one file, in order, by one thread at a time.

    ``seekable`` makes a whole file with true lengths in its headers, and every byte comes from ``finish``.
    """

    def __init__(self, recipe: Recipe, sample_rate_hz: int, *, seekable: bool = False) -> None:
        self._recipe = recipe
        self._rate_hz = legal_rate_hz(recipe, sample_rate_hz)
        self._resampler = Resampler(sample_rate_hz, self._rate_hz)
        self._file = io.BytesIO() if seekable else None
        self._outlet = _Outlet()
        self._next_pts = 0
        try:
            self._container, self._stream = self._open()
        except (FFmpegError, ValueError) as error:
            raise EncodingError("The encoder could not be started.") from error
        self._packets_to_drop = 0 if seekable else self._silent_packets()

    def write(self, samples: Samples) -> bytes:
        """The bytes that are ready after these samples; may be empty.

        Raises:
            EncodingError: the samples are not finite numbers, or the encoder refused them.
        """
        check_samples(samples)
        return self._encode(self._resampler.push(samples))

    def finish(self) -> bytes:
        """The rest of the file; no call follows."""
        rest = self._encode(self._resampler.finish())
        try:
            self._mux(self._stream.encode(None))
            self._container.close()
        except (FFmpegError, ValueError) as error:
            raise EncodingError("The end of the audio could not be encoded.") from error
        return rest + self._outlet.take() if self._file is None else self._file.getvalue()

    def __del__(self) -> None:
        """Frees the codec at once, also that of a listener who left: container and stream hold each other, and what
        waits for the garbage collector is 7 MB for FLAC."""
        if hasattr(self, "_container"):
            with contextlib.suppress(FFmpegError, ValueError):
                self._container.close()

    def _open(self) -> tuple[OutputContainer, AudioStream]:
        # bitexact: equal speech gives equal bytes; Ogg would draw a random serial number.
        options = {**self._recipe.container_options, "fflags": "bitexact"}
        sink: Any = self._file or self._outlet
        container = av.open(sink, "w", format=self._recipe.container, container_options=options)
        stream: Any = container.add_stream(
            self._recipe.codec, rate=self._rate_hz, options=dict(self._recipe.codec_options)
        )
        stream.codec_context.layout = "mono"
        stream.codec_context.format = self._recipe.sample_format
        if self._recipe.bit_rate:
            stream.bit_rate = self._recipe.bit_rate
        container.start_encoding()
        return container, stream

    def _silent_packets(self) -> int:
        """How many packets at the start hold nothing but LAME's delay."""
        if self._recipe.codec != "libmp3lame":
            return 0
        return LAME_DELAY_SAMPLES // self._stream.codec_context.frame_size

    def _encode(self, samples: Samples) -> bytes:
        try:
            # A second at a time: FFmpeg copies what is left of a frame for every packet that it cuts from it.
            for start in range(0, len(samples), self._rate_hz):
                self._mux(self._stream.encode(self._frame(samples[start : start + self._rate_hz])))
        except (FFmpegError, ValueError) as error:
            raise EncodingError("The audio could not be encoded.") from error
        return b"" if self._file else self._outlet.take()

    def _frame(self, samples: Samples) -> av.AudioFrame:
        is_integer = self._recipe.sample_format == "s16"
        array: np.ndarray[Any, Any] = to_int16(samples) if is_integer else np.clip(samples, -1.0, 1.0)
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(array)[np.newaxis], format=self._recipe.sample_format, layout="mono"
        )
        frame.sample_rate = self._rate_hz
        frame.time_base = Fraction(1, self._rate_hz)
        frame.pts = self._next_pts
        self._next_pts += len(samples)
        return frame

    def _mux(self, packets: list[Packet[AudioStream]]) -> None:
        for packet in packets:
            if self._packets_to_drop:
                self._packets_to_drop -= 1
            else:
                self._container.mux(packet)


def legal_rate_hz(recipe: Recipe, sample_rate_hz: int) -> int:
    """The rate itself where the codec takes it, else the next higher one, else its highest."""
    if not recipe.rates_hz or sample_rate_hz in recipe.rates_hz:
        return sample_rate_hz
    return next((rate for rate in recipe.rates_hz if rate > sample_rate_hz), recipe.rates_hz[-1])


def check_samples(samples: Samples) -> None:
    """Stops numbers that no format can hold before they reach a codec.

    Raises:
        EncodingError: not one-dimensional, or not finite.
    """
    if samples.ndim != 1 or not np.isfinite(samples).all():
        raise EncodingError("The engine's audio is not a row of finite samples.")
