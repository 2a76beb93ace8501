from __future__ import annotations

import signal
import subprocess
import sys
from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.server.audio.sounds import FILE_KINDS, FileKind, tone, write_file
from timbre_server.audio.decode_child import Undecodable, decode, mono
from timbre_server.audio.decode_wire import ChildLimits, Failure
from timbre_server.audio.raw_encoder import wav_header

LIMITS = ChildLimits(max_bytes=1 << 20, max_seconds=30.0, memory_bytes=512 << 20, cpu_seconds=5, wall_seconds=10.0)


def in_a_bound_process(statement: str) -> str:
    """What the statement printed in a process that has bound itself."""
    program = (
        "import socket, sys\n"
        "from timbre_server.audio.decode_child import bind\n"
        "from timbre_server.audio.decode_wire import ChildLimits\n"
        "bind(ChildLimits.from_argument(sys.argv[1]))\n"
        f"try: {statement}\n"
        "except OSError as error: print('refused', error.errno)\n"
        "except MemoryError: print('no memory')\n"
        "else: print('done')\n"
    )
    run = subprocess.run(
        [sys.executable, "-I", "-c", program, LIMITS.to_argument()], capture_output=True, text=True, check=False
    )
    return run.stdout.strip()


@pytest.mark.parametrize(
    "statement",
    [
        "open('/proc/self/status')",
        "socket.socket()",
        "socket.create_connection(('127.0.0.1', 9))",
        "__import__('os').pipe()",
        "__import__('os').dup(0)",
    ],
)
def test_a_bound_process_opens_no_file_and_no_socket(statement: str) -> None:
    assert in_a_bound_process(statement) == "refused 24"  # EMFILE


def test_a_bound_process_gets_no_more_memory_than_allowed() -> None:
    assert in_a_bound_process("bytearray(600 << 20)") == "no memory"


def test_a_bound_process_writes_no_file(tmp_path: Path) -> None:
    target = tmp_path / "out"
    with target.open("wb") as out:
        subprocess.run(
            [sys.executable, "-I", "-m", "timbre_server.audio.decode_child", LIMITS.to_argument()],
            input=b"", stdout=out, stderr=subprocess.DEVNULL, check=False,
        )  # fmt: skip
    assert target.read_bytes() == b""  # its answer goes into a pipe or nowhere


def signal_that_ended(statement: str, limits: ChildLimits) -> int:
    """The signal that ended a bound process; its standard input stays open and silent."""
    program = (
        "import sys\n"
        "from timbre_server.audio.decode_child import bind\n"
        "from timbre_server.audio.decode_wire import ChildLimits\n"
        f"bind(ChildLimits.from_argument(sys.argv[1]))\n{statement}\n"
    )
    with subprocess.Popen([sys.executable, "-I", "-c", program, limits.to_argument()], stdin=subprocess.PIPE) as child:
        return -child.wait(timeout=30)


def test_a_bound_process_ends_when_its_processor_time_is_used_up() -> None:
    assert signal_that_ended("while True: pass", replace(LIMITS, cpu_seconds=1)) in (signal.SIGKILL, signal.SIGXCPU)


def test_a_bound_process_that_nobody_talks_to_ends_by_itself() -> None:
    assert signal_that_ended("sys.stdin.read()", replace(LIMITS, wall_seconds=0.1)) == signal.SIGALRM


def as_frame(values: NDArray[np.generic], sample_format: str, layout: str) -> av.AudioFrame:
    return av.AudioFrame.from_ndarray(values, format=sample_format, layout=layout)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("sample_format", "values"),
    [
        ("u8", np.array([[192, 64]], dtype=np.uint8)),
        ("s16", np.array([[16384, -16384]], dtype=np.int16)),
        ("s32", np.array([[2**30, -(2**30)]], dtype=np.int32)),
        ("flt", np.array([[0.5, -0.5]], dtype=np.float32)),
        ("dbl", np.array([[0.5, -0.5]], dtype=np.float64)),
    ],
)
def test_half_of_full_scale_is_one_half_in_every_sample_type(sample_format: str, values: NDArray[np.generic]) -> None:
    assert mono(as_frame(values, sample_format, "mono")).tolist() == [0.5, -0.5]
    planar = mono(as_frame(np.ascontiguousarray(values.T), sample_format + "p", "stereo"))
    assert planar.tolist() == [0.0]  # the mean of both channels


def test_channels_that_alternate_in_memory_are_not_mixed_up() -> None:
    interleaved = np.array([[0.5, 0.1, -0.25, -0.15]], dtype=np.float32)
    assert mono(as_frame(interleaved, "flt", "stereo")).tolist() == pytest.approx([0.3, -0.2])


def test_what_is_no_number_becomes_silence() -> None:
    strange = np.array([[np.nan, np.inf, -np.inf, 0.25]], dtype=np.float32)
    assert mono(as_frame(strange, "flt", "mono")).tolist() == [0.0, 0.0, 0.0, 0.25]


def failure_of(data: bytes, max_seconds: float = 30.0) -> Failure:
    with pytest.raises(Undecodable) as caught:
        decode(data, max_seconds)
    return caught.value.failure


def test_each_reason_has_its_own_word() -> None:
    wav = write_file(FILE_KINDS["wav"], tone(200, 1.0, 48_000))
    assert failure_of(b"text") is Failure.UNSUPPORTED
    assert failure_of(wav_header(24_000, 0)) is Failure.NO_AUDIO
    assert failure_of(wav, max_seconds=0.5) is Failure.TOO_LONG
    assert failure_of(write_file(FileKind("wav", "adpcm_ms", "s16"), tone(200, 1.0, 48_000))) is Failure.CODEC
    assert failure_of(wav_header(1, 5) + bytes(10)) is Failure.OUT_OF_RANGE
    eight_channels = bytearray(wav_header(24_000, 8_000))
    eight_channels[22], eight_channels[32] = 8, 16
    assert failure_of(bytes(eight_channels) + bytes(16_000)) is Failure.OUT_OF_RANGE
    assert failure_of(wav_header(400_000, 5_000) + bytes(10_000)) is Failure.OUT_OF_RANGE


def test_the_limit_itself_passes_and_what_codecs_add_to_it() -> None:
    data = write_file(FILE_KINDS["mp3"], tone(200, 1.0, 44_100))
    assert len(decode(data, 1.0)) >= 24_000


def test_lengths_in_the_header_count_for_nothing() -> None:
    sound = (tone(200, 1.0) * 32767).astype("<i2").tobytes()
    for promised in (b"\xff\xff\xff\xff", b"\xff\xff\xff\x7f", b"\x80\xbb\x00\x00"):
        assert len(decode(wav_header(24_000, None)[:40] + promised + sound, 30.0)) == 24_000
