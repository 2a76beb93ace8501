"""Sounds and files for the tests: a synthetic voice, tones, and files that PyAV writes and reads."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from timbre_server.domain.pcm import Samples

RATE_HZ = 24_000

# Formants of a neutral vowel with bandwidths, Hz (a 17 cm tube closed at one end: Fant, 1960).
_FORMANTS = ((500, 80), (1500, 100), (2500, 140))


def voice(seconds: float, rate_hz: int = RATE_HZ, pitch_hz: float = 120.0) -> Samples:
    """Something that a voice detector takes for a voice: glottal pulses through a vocal tract, four syllables a second."""
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    phase = np.cumsum(pitch_hz * (1 + 0.03 * np.sin(2 * np.pi * 3 * time))) / rate_hz
    sound = np.diff(np.floor(phase), prepend=0.0) + 1e-4 * np.random.default_rng(7).standard_normal(len(time))
    for centre_hz, width_hz in _FORMANTS:
        radius = np.exp(-np.pi * width_hz / rate_hz)
        sound = lfilter([1.0], [1.0, -2 * radius * np.cos(2 * np.pi * centre_hz / rate_hz), radius**2], sound)
    sound *= 0.55 - 0.45 * np.cos(2 * np.pi * 4 * time)
    return (0.4 * sound / np.abs(sound).max()).astype(np.float32)


def tone(hz: float, seconds: float, rate_hz: int = RATE_HZ, level: float = 0.3) -> Samples:
    time = np.arange(round(seconds * rate_hz)) / rate_hz
    return (level * np.sin(2 * np.pi * hz * time)).astype(np.float32)


def pieces(samples: Samples, sizes: Iterable[int]) -> Iterator[Samples]:
    """The samples in pieces of these sizes, and the rest in one."""
    at = 0
    for size in sizes:
        yield samples[at : at + size]
        at += size
    yield samples[at:]


@dataclass(frozen=True)
class Heard:
    """What a player hears of a file."""

    samples: Samples
    rate_hz: int

    @property
    def seconds(self) -> float:
        return len(self.samples) / self.rate_hz


def heard(data: bytes) -> Heard:
    """Decodes a mono file as a player does."""
    with av.open(io.BytesIO(data)) as container:
        stream = container.streams.audio[0]
        blocks: list[NDArray[Any]] = [frame.to_ndarray().reshape(-1) for frame in container.decode(stream)]
        assert stream.rate is not None
        joined = np.concatenate(blocks) if blocks else np.zeros(0, dtype=np.float32)
        scale = 32768.0 if joined.dtype == np.int16 else 1.0
        return Heard((joined / scale).astype(np.float32), stream.rate)


def lag_samples(later: Samples, earlier: Samples) -> int:
    """By how many samples the first sound comes after the second."""
    size = 1 << int(np.ceil(np.log2(len(later) + len(earlier))))
    cross = np.fft.irfft(np.fft.rfft(later, size) * np.conj(np.fft.rfft(earlier, size)), size)
    peak = int(np.argmax(cross))
    return peak - size if peak > size // 2 else peak


def snr_db(decoded: Samples, original: Samples) -> float:
    """How far the difference lies below the original."""
    noise = float(np.mean(np.square(decoded - original)))
    return 10 * float(np.log10(np.mean(np.square(original)) / noise)) if noise else np.inf


@dataclass(frozen=True)
class FileKind:
    """A kind of file that PyAV can write."""

    container: str
    codec: str
    sample_format: str
    rate_hz: int = 48_000
    channels: str = "mono"


FILE_KINDS = {
    "wav": FileKind("wav", "pcm_s16le", "s16"),
    "wav 24 kHz": FileKind("wav", "pcm_s16le", "s16", 24_000),
    "wav 8 kHz mu-law": FileKind("wav", "pcm_mulaw", "s16", 8_000),
    "wav 8 bit": FileKind("wav", "pcm_u8", "u8"),
    "wav 24 bit stereo": FileKind("wav", "pcm_s24le", "s32", 44_100, "stereo"),
    "wav float": FileKind("wav", "pcm_f32le", "flt"),
    "mp3": FileKind("mp3", "libmp3lame", "fltp", 44_100, "stereo"),
    "ogg opus": FileKind("ogg", "libopus", "flt"),
    "ogg flac": FileKind("ogg", "flac", "s16"),
    "flac": FileKind("flac", "flac", "s16", 44_100, "stereo"),
    "webm opus": FileKind("webm", "libopus", "flt"),
    "mp4": FileKind("mp4", "aac", "fltp", 44_100),
    "m4a": FileKind("ipod", "aac", "fltp", 48_000, "stereo"),
    "m4a lossless": FileKind("ipod", "alac", "s16p", 44_100),
    "mov": FileKind("mov", "pcm_s16le", "s16"),
    "aac": FileKind("adts", "aac", "fltp", 44_100),
}


def write_file(kind: FileKind, samples: Samples) -> bytes:
    """A file of that kind, the same sound on every channel."""
    sink = io.BytesIO()
    with av.open(sink, "w", format=kind.container) as container:
        stream: Any = container.add_stream(kind.codec, rate=kind.rate_hz)
        stream.codec_context.layout = kind.channels
        stream.codec_context.format = kind.sample_format
        frame = _frame(kind, samples)
        container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return sink.getvalue()


def _frame(kind: FileKind, samples: Samples) -> av.AudioFrame:
    channels = 2 if kind.channels == "stereo" else 1
    whole = np.clip(samples, -1, 1)
    converted: NDArray[Any] = {
        "u8": lambda: np.clip(np.rint(whole * 128 + 128), 0, 255).astype(np.uint8),
        "s16": lambda: (whole * 32767).astype(np.int16),
        "s32": lambda: (whole.astype(np.float64) * (2**31 - 1)).astype(np.int32),
        "flt": lambda: whole,
    }[kind.sample_format.removesuffix("p")]()
    planar = kind.sample_format.endswith("p")
    array = np.tile(converted, (channels, 1)) if planar else np.repeat(converted, channels)[np.newaxis]
    frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(array), format=kind.sample_format, layout=kind.channels)
    frame.sample_rate = kind.rate_hz
    frame.time_base = Fraction(1, kind.rate_hz)
    frame.pts = 0
    return frame
