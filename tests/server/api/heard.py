"""What a client hears: a file of any format as samples."""

from __future__ import annotations

import io

import av
import numpy as np

from timbre_server.domain.pcm import Pcm
from timbre_server.domain.speech import AudioFormat

SAMPLE_RATE_HZ = 24_000


def heard(content: bytes, audio_format: AudioFormat) -> Pcm:
    """The samples of a response."""
    if audio_format is AudioFormat.PCM:
        return Pcm(np.frombuffer(content, "<i2").astype(np.float32) / 32768.0, SAMPLE_RATE_HZ)
    with av.open(io.BytesIO(content)) as container:
        rate = container.streams.audio[0].rate
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        frames = [*container.decode(audio=0), None]
        blocks = [block.to_ndarray()[0] for frame in frames for block in resampler.resample(frame)]
    return Pcm(np.concatenate(blocks).astype(np.float32), rate)


def tone_hz(pcm: Pcm) -> float:
    """The loudest frequency: the stub engine's voice."""
    spectrum = np.abs(np.fft.rfft(pcm.samples))
    return float(np.argmax(spectrum)) * pcm.sample_rate_hz / len(pcm.samples)
