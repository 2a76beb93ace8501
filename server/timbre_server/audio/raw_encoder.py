"""How does speech become WAV or bare PCM, whose bytes are the samples themselves?"""

from __future__ import annotations

import struct
from typing import Final

import numpy as np

from timbre_server.audio.container_encoder import check_samples
from timbre_server.audio.quantisation import to_int16, to_little_endian
from timbre_server.audio.resampling import Resampler
from timbre_server.domain.pcm import Samples

PCM_SAMPLE_RATE_HZ: Final = 24_000
"""Rate of the format ``pcm``: OpenAI's text-to-speech guide defines it as 24 kHz, 16 bit, little endian, no header."""

UNKNOWN_LENGTH: Final = 0xFFFFFFFF
"""Length field of a WAV whose end is not known yet, as FFmpeg and SoX write it into pipes.  Safari refuses it."""

_HEADER = struct.Struct("<4sI4s4sIHHIIHH4sI")
"""RIFF header, ``fmt `` chunk of 16 bytes and the head of the ``data`` chunk (Microsoft's RIFF WAVE), 44 bytes."""


WAV_HEADER_BYTES: Final = _HEADER.size
"""44: what stands before the samples in a WAV of ours."""


class PcmEncoder:
    """Bare 16-bit samples at 24 kHz, whatever the engine's rate."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._resampler = Resampler(sample_rate_hz, PCM_SAMPLE_RATE_HZ)

    def write(self, samples: Samples) -> bytes:
        """As ``Encoder.write``."""
        check_samples(samples)
        return to_little_endian(to_int16(self._resampler.push(samples)))

    def finish(self) -> bytes:
        """As ``Encoder.finish``."""
        return to_little_endian(to_int16(self._resampler.finish()))


class StreamedWavEncoder:
    """WAV whose lengths say "unknown", because its header leaves before its end is known."""

    def __init__(self, sample_rate_hz: int) -> None:
        self._header = wav_header(sample_rate_hz, None)

    def write(self, samples: Samples) -> bytes:
        """As ``Encoder.write``."""
        check_samples(samples)
        header, self._header = self._header, b""
        return header + to_little_endian(to_int16(samples))

    def finish(self) -> bytes:
        """As ``Encoder.finish``."""
        return self.write(np.zeros(0, dtype=np.float32))


def wav_header(sample_rate_hz: int, samples: int | None) -> bytes:
    """The 44 bytes before 16-bit mono samples; ``None`` = their number is not known."""
    data_bytes = UNKNOWN_LENGTH if samples is None else 2 * samples
    riff_bytes = UNKNOWN_LENGTH if samples is None else data_bytes + _HEADER.size - 8
    return _HEADER.pack(
        *(b"RIFF", riff_bytes, b"WAVE", b"fmt ", 16),
        # Integer PCM, one channel, bytes per second, bytes per sample, bits per sample.
        *(1, 1, sample_rate_hz, 2 * sample_rate_hz, 2, 16),
        *(b"data", data_bytes),
    )


def to_wav(samples: Samples, sample_rate_hz: int) -> bytes:
    """A whole WAV file with true lengths."""
    check_samples(samples)
    return wav_header(sample_rate_hz, len(samples)) + to_little_endian(to_int16(samples))
