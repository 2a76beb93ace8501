"""What is kept of speech that was made?"""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from timbre_server.audio.quantisation import Int16Samples, to_little_endian
from timbre_server.audio.raw_encoder import WAV_HEADER_BYTES, wav_header
from timbre_server.ports import Blob

BYTES_PER_SAMPLE: Final = 2
"""16 bits are what wav, flac and pcm hold, and beyond what mp3, opus and aac keep: lossless for all that leaves here.
FLAC would save 29 to 48 % of 3 s of human speech, but takes 0.95 ms to decode, and these bytes 0.003 ms to check (medians,
two cores): a hit that goes out as WAV is not touched at all."""


class Label(NamedTuple):
    """What is known of a take without its speech."""

    id: str
    """16 hex digits, drawn for each take."""
    created_at: float
    """Unix time in seconds."""
    sample_rate_hz: int


@dataclass(frozen=True, eq=False)
class KeptTake:
    """One take of a saying, whole."""

    label: Label
    wav: Blob
    """A WAV file of 16-bit mono samples with true lengths: the form that all others are made from, and one that leaves as
    it is.  Nobody writes into it."""

    @property
    def pcm(self) -> memoryview:
        """The samples, little endian."""
        return memoryview(self.wav)[WAV_HEADER_BYTES:]

    @property
    def duration_seconds(self) -> float:
        """How long it plays."""
        return (len(self.wav) - WAV_HEADER_BYTES) / BYTES_PER_SAMPLE / self.label.sample_rate_hz


@dataclass(frozen=True)
class TooLong:
    """The speech of a saying is too long to be shared: whoever wants it makes it."""

    limit_bytes: int
    """What a take might have had at most."""


@dataclass(frozen=True, eq=False)
class Found:
    """What another pod has made."""

    take: KeptTake
    awaited: bool
    """Whether it was being made when this pod asked."""


def wav_from(pieces: Sequence[Int16Samples], sample_rate_hz: int) -> bytes:
    """The file that is kept of these samples."""
    header = wav_header(sample_rate_hz, sum(map(len, pieces)))
    return b"".join([header, *map(to_little_endian, pieces)])


def new_take_id() -> str:
    """64 random bits: of a text's takes no two are alike."""
    return secrets.token_hex(8)
