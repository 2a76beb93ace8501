"""Which container do these bytes claim to be, by their first bytes alone?

The white list of what an upload may be.  A file's name and the client's content type play no part.  Play lists
(m3u8, ffconcat, sdp), pictures and archives have none of these beginnings, so no demuxer ever sees them.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True)
class Container:
    """A container that uploads may have, and what may be inside."""

    name: str
    """What users call it."""
    demuxer: str
    """FFmpeg's name of the only demuxer that is tried."""
    decoders: frozenset[str]
    """FFmpeg's names of the only decoders that may open."""


_MPEG_AUDIO: Final = frozenset({"mp3float", "mp3"})
_AAC: Final = frozenset({"aac"})
# Each of them is in FFmpeg under one name of its own and, for opus, of its library.
_XIPH: Final = frozenset({"opus", "libopus", "vorbis", "flac"})
_PCM: Final = frozenset(
    f"pcm_{layout}" for layout in ("u8", "s16le", "s24le", "s32le", "f32le", "f64le", "alaw", "mulaw")
)

WAV: Final = Container("wav", "wav", _PCM)
MP3: Final = Container("mp3", "mp3", _MPEG_AUDIO)
OGG: Final = Container("ogg", "ogg", _XIPH)
FLAC: Final = Container("flac", "flac", frozenset({"flac"}))
# Browsers' MediaRecorder writes opus, and raw PCM where asked to.
WEBM: Final = Container("webm", "matroska", _XIPH | _PCM)
# Phones' voice memos: AAC, or Apple Lossless where set to lossless.
MP4: Final = Container("mp4", "mov", _AAC | _MPEG_AUDIO | _XIPH | _PCM | {"alac"})
AAC: Final = Container("aac", "aac", _AAC)

SUPPORTED: Final = "wav, mp3, ogg, flac, webm, mp4, m4a, aac"
"""The white list in the words of a message."""

_ID3_HEADER_BYTES: Final = 10
"""Size of an ID3v2 header; the size in it does not count the header itself (ID3v2.4, section 3.1)."""


def container_of(data: bytes) -> Container | None:
    """The container, or None where the bytes begin like none of the white list."""
    tag_bytes = _id3_bytes(data)
    start = data[tag_bytes : tag_bytes + 16]
    return next((container for matches, container in _BEGINNINGS if matches(start)), None)


def _id3_bytes(data: bytes) -> int:
    """How long the ID3v2 tag at the beginning is, 0 if there is none."""
    if not data.startswith(b"ID3") or len(data) < _ID3_HEADER_BYTES:
        return 0
    size = 0
    for byte in data[6:10]:
        size = size << 7 | byte & 0x7F
    return size + _ID3_HEADER_BYTES


def _is_wav(start: bytes) -> bool:
    return start[:4] in (b"RIFF", b"RF64") and start[8:12] == b"WAVE"


def _is_mpeg_audio(start: bytes) -> bool:
    """Eleven sync bits, then a version and a layer that are not reserved (ISO 11172-3, 2.4.1.3): layer III only."""
    return _synced(start) and start[1] & 0x18 != 0x08 and start[1] & 0x06 == 0x02


def _is_adts(start: bytes) -> bool:
    """Twelve sync bits and layer 0 (ISO 13818-7, 6.2)."""
    return _synced(start) and start[1] & 0xF6 == 0xF0


def _synced(start: bytes) -> bool:
    return len(start) > 2 and start[0] == 0xFF and start[1] & 0xE0 == 0xE0


_BEGINNINGS: Final[tuple[tuple[Callable[[bytes], bool], Container], ...]] = (
    (_is_wav, WAV),
    (lambda start: start.startswith(b"fLaC"), FLAC),
    (lambda start: start.startswith(b"OggS"), OGG),
    (lambda start: start.startswith(b"\x1a\x45\xdf\xa3"), WEBM),
    (lambda start: start[4:8] == b"ftyp", MP4),
    (_is_mpeg_audio, MP3),
    (_is_adts, AAC),
)
