from __future__ import annotations

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.server.audio.sounds import FILE_KINDS, tone, write_file
from timbre_server.audio.containers import AAC, FLAC, MP3, MP4, OGG, WAV, WEBM, Container, container_of

EXPECTED = {
    "wav": WAV, "mp3": MP3, "ogg": OGG, "flac": FLAC, "webm": WEBM, "mp4": MP4, "m4a": MP4, "mov": MP4, "aac": AAC,
}  # fmt: skip


@pytest.mark.parametrize("kind", FILE_KINDS)
def test_every_written_file_is_known_by_its_first_bytes(kind: str) -> None:
    data = write_file(FILE_KINDS[kind], tone(200, 0.2, FILE_KINDS[kind].rate_hz))
    assert container_of(data) is EXPECTED[kind.split(maxsplit=1)[0]]


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"\xff",
        b"hello, this is text",
        b"\x89PNG\r\n\x1a\n" + bytes(50),
        b"PK\x03\x04" + bytes(50),
        b"GIF89a",
        b"%PDF-1.7",
        b"RIFF\x00\x00\x00\x00AVI LIST",
        b"#EXTM3U\n#EXTINF:1,\nfile:///etc/passwd\n",
        b"ffconcat version 1.0\nfile /etc/passwd\n",
        b"v=0\no=- 0 0 IN IP4 127.0.0.1\nm=audio 9 RTP/AVP 0\n",
        b"<?xml version='1.0'?><MPD/>",
        b"ID3\x04\x00\x00\x00\x00\x00\x0aabc",
        b"\xff\xfd" + bytes(30),  # MPEG layer II
        b"\xff\xeb" + bytes(30),  # a reserved version of MPEG
    ],
)  # fmt: skip
def test_what_is_not_on_the_white_list_is_none(data: bytes) -> None:
    assert container_of(data) is None


@pytest.mark.parametrize(("start", "expected"), [(b"\xff\xfb\x90\x00", MP3), (b"\xff\xf1\x50\x80", AAC)])
@pytest.mark.parametrize("tag_bytes", [0, 127, 300, 200_000])
def test_a_tag_before_the_audio_is_looked_behind(start: bytes, expected: Container, tag_bytes: int) -> None:
    size = bytes(tag_bytes >> shift & 0x7F for shift in (21, 14, 7, 0))
    assert container_of(b"ID3\x04\x00\x00" + size + bytes(tag_bytes) + start) is expected


@given(st.binary(max_size=40))
@example(b"ID3\xff\xff\xff\xff\xff\xff\xff")
@example(b"\xff\xff")
def test_no_bytes_at_all_make_it_fail(data: bytes) -> None:
    assert container_of(data) is None or len(data) > 2
