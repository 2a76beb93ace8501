from __future__ import annotations

import asyncio
import io
import os
import struct
import sys
from asyncio.subprocess import Process
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.server.audio.sounds import FILE_KINDS, RATE_HZ, FileKind, lag_samples, snr_db, voice, write_file
from timbre_server.audio.canonical import digest_of
from timbre_server.audio.decode_wire import Head
from timbre_server.audio.decoding import DecodeLimits, RecordingDecoder
from timbre_server.audio.encoding import encode
from timbre_server.audio.flac import from_flac, to_flac
from timbre_server.audio.raw_encoder import wav_header
from timbre_server.domain.speech import AudioFormat
from timbre_server.errors import AudioTooLarge, AudioTooLong, AudioUnreadable, ConfigurationError, Unavailable

SECONDS = 2.0
SPEECH = voice(SECONDS)
WAV = encode(SPEECH, RATE_HZ, AudioFormat.WAV)


@pytest.fixture
def decoder() -> RecordingDecoder:
    return RecordingDecoder()


def file_of(kind: str, seconds: float = SECONDS) -> bytes:
    kind_of_file = FILE_KINDS[kind]
    return write_file(kind_of_file, soxr.resample(voice(seconds), RATE_HZ, kind_of_file.rate_hz))


@pytest.mark.parametrize("kind", FILE_KINDS)
async def test_every_container_gives_the_same_voice(decoder: RecordingDecoder, kind: str) -> None:
    recording = await decoder.decode(file_of(kind))
    assert recording.pcm.sample_rate_hz == RATE_HZ
    # Two AAC frames of 44.1 kHz are 46 ms.
    assert recording.pcm.duration_seconds == pytest.approx(SECONDS, abs=0.1)
    assert recording.voiced_seconds == pytest.approx(SECONDS, abs=0.2)
    decoded = recording.pcm.samples
    start = max(0, lag_samples(decoded, SPEECH))
    length = min(len(decoded) - start, len(SPEECH))
    assert np.std(decoded) == pytest.approx(np.std(SPEECH), rel=0.15)  # 8 kHz lack the highest formant
    assert np.corrcoef(decoded[start : start + length], SPEECH[:length])[0, 1] > 0.9


async def test_equal_takes_have_equal_digests_whatever_lossless_file_they_came_in(decoder: RecordingDecoder) -> None:
    takes = [await decoder.decode(encode(SPEECH, RATE_HZ, form)) for form in (AudioFormat.WAV, AudioFormat.FLAC)]
    assert takes[0].digest == takes[1].digest == digest_of(takes[0].pcm)
    assert snr_db(takes[0].pcm.samples, SPEECH) > 70
    assert np.array_equal(from_flac(to_flac(takes[0].pcm)).samples, takes[0].pcm.samples)


@pytest.mark.parametrize(
    "data",
    [
        b"",
        b"This is a text about a voice." * 50,
        b"\x89PNG\r\n\x1a\n" + bytes(500),
        b"PK\x03\x04" + bytes(500),
        WAV[:20],
        wav_header(RATE_HZ, None),
        b"OggS" + bytes(2_000),
        b"fLaC" + bytes(2_000),
        b"\x1a\x45\xdf\xa3" + bytes(2_000),
        b"\x00\x00\x00\x18ftypM4A " + bytes(2_000),
        b"\xff\xfb\x90\x00" + bytes(2_000),
        b"\xff\xf1\x50\x80" + bytes(2_000),
        b"RIFF\x00\x00\x00\x00WAVE" + b"ffconcat version 1.0\nfile /etc/passwd\n",
        file_of("mp4")[:5_000],  # its index stands at the end
        write_file(FileKind("wav", "adpcm_ms", "s16"), voice(0.5, 48_000)),
    ],
    ids=lambda data: repr(data[:12]),
)
async def test_what_is_no_recording_is_unreadable(decoder: RecordingDecoder, data: bytes) -> None:
    with pytest.raises(AudioUnreadable) as caught:
        await decoder.decode(data, param="recording")
    assert caught.value.param == "recording"
    assert len(caught.value.message) < 100


async def test_an_empty_recording_and_one_that_is_only_a_name_are_told_so(decoder: RecordingDecoder) -> None:
    with pytest.raises(AudioUnreadable, match="is empty"):
        await decoder.decode(b"")
    with pytest.raises(AudioUnreadable, match="send the file, not its name"):
        await decoder.decode(b"examples/voices/librivox-male.flac")


@pytest.mark.parametrize("kind", ["wav", "mp3", "ogg opus", "flac", "webm opus", "aac"])
async def test_a_file_that_breaks_off_counts_with_what_is_there(decoder: RecordingDecoder, kind: str) -> None:
    data = file_of(kind)
    recording = await decoder.decode(data[: len(data) * 3 // 4])
    # FFmpeg's Ogg pages hold a second each.
    assert 0.45 * SECONDS < recording.pcm.duration_seconds < 0.8 * SECONDS


async def test_damage_inside_costs_only_what_it_hit(decoder: RecordingDecoder) -> None:
    data = bytearray(file_of("mp3"))
    middle = len(data) // 2
    data[middle : middle + 200] = np.random.default_rng(3).bytes(200)
    recording = await decoder.decode(bytes(data))
    assert recording.pcm.duration_seconds > 0.8 * SECONDS


@settings(max_examples=12, deadline=None)
@given(
    start=st.sampled_from(
        [WAV[:44], b"OggS", b"fLaC", b"\x1a\x45\xdf\xa3", b"\0\0\0\x18ftypM4A ", b"\xff\xfb\x90\x00"]
    ),
    body=st.binary(min_size=10, max_size=3_000),
)
async def test_random_bytes_behind_a_true_beginning_are_decoded_or_refused(start: bytes, body: bytes) -> None:
    try:
        recording = await RecordingDecoder().decode(start + body)
    except AudioUnreadable:
        return
    assert np.isfinite(recording.pcm.samples).all()


async def test_one_byte_too_many_is_too_large_without_any_look_at_it() -> None:
    decoder = RecordingDecoder(DecodeLimits(max_bytes=len(WAV)))
    assert (await decoder.decode(WAV)).pcm.duration_seconds == SECONDS
    with pytest.raises(AudioTooLarge):
        await decoder.decode(WAV + b"\0")


async def test_thirty_seconds_pass_and_thirty_one_are_refused_not_cut(decoder: RecordingDecoder) -> None:
    recording = await decoder.decode(encode(voice(30.0), RATE_HZ, AudioFormat.AAC))
    assert recording.pcm.duration_seconds >= 30.0
    with pytest.raises(AudioTooLong, match="30 seconds"):
        await decoder.decode(encode(voice(31.0), RATE_HZ, AudioFormat.AAC))


async def test_hours_in_a_small_file_are_given_up_at_the_limit(decoder: RecordingDecoder) -> None:
    bomb = encode(np.zeros(RATE_HZ * 1_200, dtype=np.float32), RATE_HZ, AudioFormat.FLAC)
    assert len(bomb) < 200_000
    with pytest.raises(AudioTooLong):
        await decoder.decode(bomb)


def film(*, with_sound: bool) -> bytes:
    sink = io.BytesIO()
    with av.open(sink, "w", format="mp4") as container:
        picture: Any = container.add_stream("mpeg4", rate=10)
        picture.width, picture.height, picture.pix_fmt = 64, 64, "yuv420p"
        sound: Any = container.add_stream("aac", rate=RATE_HZ) if with_sound else None
        if sound:
            sound.codec_context.layout = "mono"
        for _ in range(20):
            container.mux(picture.encode(av.VideoFrame(64, 64, "yuv420p")))
        if sound:
            frame = av.AudioFrame.from_ndarray(SPEECH[np.newaxis], format="fltp", layout="mono")
            frame.sample_rate = RATE_HZ
            container.mux(sound.encode(frame))
            container.mux(sound.encode(None))
        container.mux(picture.encode(None))
    return sink.getvalue()


async def test_the_sound_of_a_film_is_a_recording_and_a_silent_film_is_none(decoder: RecordingDecoder) -> None:
    assert (await decoder.decode(film(with_sound=True))).pcm.duration_seconds == pytest.approx(SECONDS, abs=0.1)
    with pytest.raises(AudioUnreadable):
        await decoder.decode(film(with_sound=False))


async def test_a_song_with_a_cover_picture_is_a_recording(decoder: RecordingDecoder) -> None:
    picture = b"\x00image/png\x00\x03\x00" + b"\x89PNG\r\n\x1a\n" + bytes(3_000)
    frame = b"APIC" + struct.pack(">IH", len(picture), 0) + picture
    size = bytes(len(frame) >> shift & 0x7F for shift in (21, 14, 7, 0))
    tagged = b"ID3\x03\x00\x00" + size + frame + encode(SPEECH, RATE_HZ, AudioFormat.MP3)
    assert (await decoder.decode(tagged)).pcm.duration_seconds == pytest.approx(SECONDS, abs=0.05)


async def test_a_play_list_opens_nothing_that_it_names(decoder: RecordingDecoder, tmp_path: Path) -> None:
    secret = tmp_path / "secret.wav"
    secret.write_bytes(WAV)
    lists = [
        f"#EXTM3U\n#EXT-X-TARGETDURATION:2\n#EXTINF:2,\n{secret}\n#EXT-X-ENDLIST\n",
        f"ffconcat version 1.0\nfile '{secret}'\n",
        f"[playlist]\nFile1={secret}\n",
    ]
    for text in lists:
        with pytest.raises(AudioUnreadable):
            await decoder.decode(text.encode())


def mov_that_points_at(path: Path) -> bytes:
    """A film whose samples are said to lie in another file."""
    data = write_file(FILE_KINDS["mov"], voice(0.5, 48_000))
    own = b"\x00\x00\x00\x0curl \x00\x00\x00\x01"
    assert data.count(own) == 1
    # The same length: the flag "in this file" falls, and a name follows that the entry's new length covers.
    name = os.fsencode(path)
    entry = struct.pack(">I4sI", 12 + len(name) + 1, b"url ", 0) + name + b"\0"
    at = data.index(own)
    patched = bytearray(data[:at] + entry + data[at + len(own) :])
    grown = len(entry) - len(own)
    for box in (b"moov", b"trak", b"mdia", b"minf", b"dinf", b"dref"):
        head = data.rindex(box, 0, at) - 4
        patched[head : head + 4] = struct.pack(">I", struct.unpack(">I", data[head : head + 4])[0] + grown)
    return bytes(patched)


async def test_a_film_whose_sound_lies_in_another_file_does_not_get_it(
    decoder: RecordingDecoder, tmp_path: Path
) -> None:
    other = tmp_path / "other.raw"
    other.write_bytes((voice(0.5, 48_000) * 20_000).astype("<i2").tobytes() * 2)
    own = await decoder.decode(write_file(FILE_KINDS["mov"], voice(0.5, 48_000)))
    try:
        pointed = await decoder.decode(mov_that_points_at(other))
    except AudioUnreadable:
        return
    # Then it read the film's own bytes, not those of the other file, which are louder.
    assert np.std(pointed.pcm.samples) <= 1.01 * np.std(own.pcm.samples)


@pytest.mark.parametrize("limits", [DecodeLimits(memory_bytes=64 << 20), DecodeLimits(wall_seconds=0.02)])
async def test_a_child_that_breaks_a_limit_ends_and_the_upload_is_unreadable(limits: DecodeLimits) -> None:
    with pytest.raises(AudioUnreadable):
        await RecordingDecoder(limits).decode(encode(voice(29.0), RATE_HZ, AudioFormat.WAV))


class WatchedDecoder(RecordingDecoder):
    """Its children run, and it waits for ever before it talks to them."""

    def __init__(self, limits: DecodeLimits | None = None, *, max_children: int = 2) -> None:
        super().__init__(limits, max_children=max_children)
        self.pids: asyncio.Queue[int] = asyncio.Queue()

    async def _conversation(self, child: Process, data: bytes) -> tuple[Head, bytes]:
        self.pids.put_nowait(child.pid)
        await asyncio.Event().wait()
        raise AssertionError


def is_gone(pid: int) -> bool:
    """Neither running nor waiting to be reaped."""
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_caller_who_leaves_takes_the_child_along() -> None:
    decoder = WatchedDecoder()
    call = asyncio.create_task(decoder.decode(WAV))
    pid = await decoder.pids.get()
    assert not is_gone(pid)
    call.cancel()
    with pytest.raises(asyncio.CancelledError):
        await call
    assert is_gone(pid)


async def test_a_child_that_is_too_slow_is_gone_when_the_answer_comes() -> None:
    decoder = WatchedDecoder(DecodeLimits(wall_seconds=0.05))
    with pytest.raises(AudioUnreadable):
        await decoder.decode(WAV)
    assert is_gone(decoder.pids.get_nowait())


async def test_no_more_children_run_at_once_than_allowed() -> None:
    decoder = WatchedDecoder(max_children=2)
    calls = [asyncio.create_task(decoder.decode(WAV)) for _ in range(4)]
    first, second = await decoder.pids.get(), await decoder.pids.get()
    assert decoder.pids.empty()
    calls[0].cancel()
    third = await decoder.pids.get()  # one leaves, the next one starts
    assert len({first, second, third}) == 3
    for call in calls:
        call.cancel()
    assert {type(left) for left in await asyncio.gather(*calls, return_exceptions=True)} == {asyncio.CancelledError}


def child_made_of(monkeypatch: pytest.MonkeyPatch, folder: Path, script: str, says: bytes = b"") -> None:
    """From now on every child says this and runs this shell script."""
    program, words = folder / "child", folder / "words"
    words.write_bytes(says)
    program.write_text(f"#!/bin/sh\ncat {words}\n{script}\n")
    program.chmod(0o755)
    monkeypatch.setattr(sys, "executable", str(program))


def head(body: str) -> bytes:
    return struct.pack("<I", len(body)) + body.encode()


GOOD = '{"samples": 4, "voiced_seconds": 0.5}'


async def test_what_a_child_says_in_the_right_form_is_taken(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    child_made_of(monkeypatch, tmp_path, "exit 0", head(GOOD) + bytes(8))
    recording = await RecordingDecoder().decode(WAV)
    assert (len(recording.pcm.samples), recording.voiced_seconds) == (4, 0.5)


@pytest.mark.parametrize(
    ("says", "script"),
    [
        (b"", "exit 0"),
        (b"", "kill -SEGV $$"),
        (b"\x01", "exit 0"),
        (b"\xff\xff\xff\xff", "exit 0"),
        (head("hello"), "exit 0"),
        (head(GOOD + " " * 300) + bytes(8), "exit 0"),
        (head(GOOD) + bytes(7), "exit 0"),
        (head('{"samples": 999999, "voiced_seconds": 0.5}'), "cat /dev/zero"),
        (b"", "cat /dev/zero"),
    ],
)
async def test_a_child_taken_over_can_only_make_the_upload_unreadable(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: bytes, script: str
) -> None:
    child_made_of(monkeypatch, tmp_path, script, says)
    with pytest.raises(AudioUnreadable):
        await RecordingDecoder().decode(WAV)


async def test_a_child_sees_no_variable_of_the_server(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("TIMBRE_REDIS__URL", "redis://:secret@host")
    child_made_of(monkeypatch, tmp_path, f"env > {tmp_path}/seen")
    with pytest.raises(AudioUnreadable):
        await RecordingDecoder().decode(WAV)
    names = {line.partition("=")[0] for line in (tmp_path / "seen").read_text().splitlines()}
    assert "OPENBLAS_NUM_THREADS" in names
    # PWD, SHLVL and _ are the shell's own.
    assert names <= {"LC_ALL", "OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "LD_LIBRARY_PATH", "PWD", "SHLVL", "_"}


async def test_a_working_installation_is_ready(decoder: RecordingDecoder) -> None:
    await decoder.check_ready()


@pytest.mark.parametrize("says", [b"", head('{"samples": 0, "voiced_seconds": 0.5}')], ids=["mute", "another program"])
async def test_a_broken_installation_is_named_at_the_start(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, says: bytes
) -> None:
    child_made_of(monkeypatch, tmp_path, "exit 1", says)
    with pytest.raises(ConfigurationError):
        await RecordingDecoder().check_ready()


async def test_no_process_to_be_had_is_no_fault_of_the_upload(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, decoder: RecordingDecoder
) -> None:
    monkeypatch.setattr(sys, "executable", str(tmp_path / "nothing"))
    with pytest.raises(Unavailable):
        await decoder.decode(WAV)
    with pytest.raises(ConfigurationError):
        await decoder.check_ready()
