"""How does speech leave: which bytes are the samples in the format that the client asked for?

A streamed answer has one ``Encoder``; a whole one comes from ``encode``, whose headers hold true lengths.

What a decoder hears beside the speech, measured at 24 kHz:

========  =======================================================  ======================================
format    before the first sample                                  after the last sample
========  =======================================================  ======================================
pcm, wav  nothing                                                  nothing
flac      nothing                                                  nothing
opus      nothing (pre-skip)                                       nothing (end trim by granule position)
mp3       streamed 529 samples (22 ms), whole nothing (LAME tag)   streamed under one frame (24 ms)
aac       1024 samples (43 ms): ADTS has no field for it           under one frame (43 ms)
========  =======================================================  ======================================
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final, Protocol

from timbre_server.audio.container_encoder import RECIPES, ContainerEncoder
from timbre_server.audio.raw_encoder import PcmEncoder, StreamedWavEncoder, to_wav
from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import AudioFormat

CONTENT_TYPES: Final[Mapping[AudioFormat, str]] = MappingProxyType(
    {
        AudioFormat.MP3: "audio/mpeg",
        AudioFormat.OPUS: "audio/ogg",
        AudioFormat.AAC: "audio/aac",
        AudioFormat.FLAC: "audio/flac",
        AudioFormat.WAV: "audio/wav",
        AudioFormat.PCM: "audio/pcm",
    }
)
"""The ``Content-Type`` of each format; ``audio/ogg`` for opus, because the bytes are an Ogg file (RFC 7845)."""


class Encoder(Protocol):
    """One file in the making.  Used by one thread at a time; may be dropped at any moment without ``finish``."""

    def write(self, samples: Samples) -> bytes:
        """The bytes that are ready once these samples are in; may be empty.

        Every format gives decodable audio within the first 200 ms of speech.

        Raises:
            EncodingError: the samples are not finite numbers, or the codec refused them.
        """
        ...

    def finish(self) -> bytes:
        """The rest of the file, nothing of the speech missing; no call follows.

        Raises:
            EncodingError: the codec could not end the file.
        """
        ...


def open_encoder(audio_format: AudioFormat, sample_rate_hz: int) -> Encoder:
    """An encoder for a stream: its header leaves before the length is known.

    A WAV stream says "length unknown" and FLAC says zero samples, which is legal.  Safari refuses such a WAV:
    where the length can be waited for, ``encode`` is the better choice.

    Raises:
        EncodingError: the codec could not be started.
    """
    if audio_format is AudioFormat.PCM:
        return PcmEncoder(sample_rate_hz)
    if audio_format is AudioFormat.WAV:
        return StreamedWavEncoder(sample_rate_hz)
    return ContainerEncoder(RECIPES[audio_format], sample_rate_hz)


def encode(samples: Samples, sample_rate_hz: int, audio_format: AudioFormat) -> bytes:
    """The whole file, with true lengths in its headers.

    Raises:
        EncodingError: as ``Encoder``.
    """
    if audio_format is AudioFormat.WAV:
        return to_wav(samples, sample_rate_hz)
    if audio_format is AudioFormat.PCM:
        encoder: Encoder = PcmEncoder(sample_rate_hz)
    else:
        encoder = ContainerEncoder(RECIPES[audio_format], sample_rate_hz, seekable=True)
    return encoder.write(samples) + encoder.finish()
