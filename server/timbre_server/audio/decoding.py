"""What recording is in an upload?  Untrusted bytes are decoded in a child process that can do little else."""

from __future__ import annotations

import asyncio
import contextlib
import os
import signal
import sys
from asyncio.subprocess import DEVNULL, PIPE, Process
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from timbre_server.audio.canonical import digest_of
from timbre_server.audio.containers import SUPPORTED, container_of
from timbre_server.audio.decode_wire import LENGTH, MAX_HEAD_BYTES, ChildLimits, Failure, Head
from timbre_server.audio.quantisation import from_int16, from_little_endian
from timbre_server.domain.pcm import Pcm
from timbre_server.domain.voice import CANONICAL_SAMPLE_RATE_HZ
from timbre_server.errors import (
    AudioRejected,
    AudioTooLarge,
    AudioTooLong,
    AudioUnreadable,
    ConfigurationError,
    Unavailable,
)

_MIB: Final = 1024 * 1024

_CHILD: Final = ("-I", "-m", "timbre_server.audio.decode_child")
"""``-I``: neither the working directory nor a PYTHON variable can put a module of theirs before ours."""

_ENVIRONMENT: Final = {
    "LC_ALL": "C.UTF-8",
    # numpy would start a thread per core and reserve memory for each.
    "OPENBLAS_NUM_THREADS": "1",
    "OMP_NUM_THREADS": "1",
}
"""The whole environment of a child: no secret of the server's is in it."""


_DRAIN_SECONDS: Final = 1.0
"""How long the pipes of a dead child may take to run dry; each holds 64 KiB."""

_BROKEN: Final = "The recording could not be decoded; convert it to WAV and send it again."

_UNREADABLE: Final[Mapping[Failure, str]] = {
    Failure.UNSUPPORTED: f"The recording is none of {SUPPORTED}; send the file, not its name.",
    Failure.CODEC: "The codec of the recording is not supported; convert it to WAV and send it again.",
    Failure.OUT_OF_RANGE: "The recording must have 1 to 6 channels at 8 to 192 kHz.",
    Failure.NO_AUDIO: "The file holds no audio that can be decoded.",
}


@dataclass(frozen=True)
class DecodeLimits:
    """How large an upload may be, and how much the decoding of one may cost."""

    max_bytes: int = 10 * _MIB
    """Bytes of the file: OpenAI's limit for ``audio_sample``."""
    max_seconds: float = 30.0
    """Seconds of decoded audio: OpenAI's limit for ``audio_sample``."""
    memory_bytes: int = 512 * _MIB
    """Address space of the child: twice what the costliest legal upload took (227 MiB, 200 of them libraries)."""
    cpu_seconds: int = 10
    """Processor time of the child: 30 times that of the costliest legal upload (0.32 s, 30 s of AAC 5.1 at 96 kHz)."""
    wall_seconds: float = 20.0
    """Time of the child by the clock: its processor time on a machine that is half busy."""


@dataclass(frozen=True, eq=False)
class Recording:
    """An upload, decoded."""

    pcm: Pcm
    """Canonical: mono, ``CANONICAL_SAMPLE_RATE_HZ``, every sample a 16-bit value."""
    digest: str
    """sha256 in hex over the 16-bit little-endian samples."""
    voiced_seconds: float
    """How much of it holds a voice, by WebRTC's detector."""


class RecordingDecoder:
    """Decodes uploads, each in a child process of its own, a bounded number at a time."""

    def __init__(self, limits: DecodeLimits | None = None, *, max_children: int = 2) -> None:
        # Two: an upload costs 0.2 s of processor time, which the engine wants as well.
        self._limits = limits or DecodeLimits()
        self._children = asyncio.Semaphore(max_children)

    async def decode(self, data: bytes, *, param: str = "audio_sample") -> Recording:
        """The recording in an upload of any supported container; ``param`` is the request field to name in errors.

        Whoever is cancelled here leaves no process behind.  A damaged file counts with what can be decoded of it.

        Raises:
            AudioTooLarge: more bytes than allowed.
            AudioTooLong: more seconds than allowed; nothing is cut off.
            AudioUnreadable: no audio in a supported container, or decoding it broke a limit.
            Unavailable: no process could be started.
        """
        if len(data) > self._limits.max_bytes:
            raise AudioTooLarge(f"The recording is larger than {_in_mib(self._limits.max_bytes)} MiB.", param=param)
        if not data:
            raise AudioUnreadable("The recording is empty.", param=param)
        if container_of(data) is None:
            raise self._rejection(Failure.UNSUPPORTED, param)
        async with self._children:
            head, values = await self._ask_child(data, param)
        if head.failure is not None:
            raise self._rejection(head.failure, param)
        pcm = Pcm(from_int16(from_little_endian(values)), CANONICAL_SAMPLE_RATE_HZ)
        return Recording(pcm, digest_of(pcm), head.voiced_seconds)

    async def check_ready(self) -> None:
        """Starts a child once, so that a broken installation is not taken for broken uploads.

        Raises:
            ConfigurationError: no child answers here.
        """
        try:
            head, _ = await self._ask_child(b"", "")
        except (AudioUnreadable, Unavailable) as error:
            raise ConfigurationError("The process that decodes recordings does not start here.") from error
        if head.failure is not Failure.UNSUPPORTED:
            raise ConfigurationError("The process that decodes recordings is not ours.")

    async def _ask_child(self, data: bytes, param: str) -> tuple[Head, bytes]:
        child = await self._start()
        try:
            async with asyncio.timeout(self._limits.wall_seconds):
                return await self._conversation(child, data)
        except (TimeoutError, EOFError, ValueError) as error:
            # Killed by a limit, crashed on what it read, too slow, or it speaks nonsense.
            raise AudioUnreadable(_BROKEN, param=param) from error
        finally:
            await _end(child)

    async def _start(self) -> Process:
        limits = self._limits
        argument = ChildLimits(
            limits.max_bytes, limits.max_seconds, limits.memory_bytes, limits.cpu_seconds, limits.wall_seconds
        ).to_argument()
        try:
            return await asyncio.create_subprocess_exec(
                sys.executable, *_CHILD, argument,
                stdin=PIPE, stdout=PIPE, stderr=DEVNULL, env=_child_environment(),
                start_new_session=True,  # so that one signal ends the child and whatever it started
            )  # fmt: skip
        except OSError as error:
            # Out of processes or memory: the upload is not at fault.
            raise Unavailable("Recordings cannot be decoded right now.") from error

    async def _conversation(self, child: Process, data: bytes) -> tuple[Head, bytes]:
        assert child.stdin is not None
        assert child.stdout is not None
        # A child that has seen enough, or died, closes its end: what it says counts.
        with contextlib.suppress(ConnectionError):
            child.stdin.write(data)
            await child.stdin.drain()
        child.stdin.close()
        (head_bytes,) = LENGTH.unpack(await child.stdout.readexactly(LENGTH.size))
        if head_bytes > MAX_HEAD_BYTES:
            raise ValueError("the head is too long")
        head = Head.from_json(await child.stdout.readexactly(head_bytes))
        if head.samples > (self._limits.max_seconds + 1.0) * CANONICAL_SAMPLE_RATE_HZ:
            raise ValueError("more samples than the child may send")
        return head, await child.stdout.readexactly(2 * head.samples)

    def _rejection(self, failure: Failure, param: str) -> AudioRejected:
        if failure is Failure.TOO_LONG:
            message = f"The recording is longer than {self._limits.max_seconds:g} seconds; cut it."
            return AudioTooLong(message, param=param)
        return AudioUnreadable(_UNREADABLE[failure], param=param)


async def _end(child: Process) -> None:
    """Kills what still runs of the child's session, takes its exit status, and lets its pipes close."""
    if child.returncode is None:
        with contextlib.suppress(ProcessLookupError):
            # Not child.kill(): where the child has just ended by itself, that takes its exit status away from asyncio.
            os.killpg(child.pid, signal.SIGKILL)
    assert child.stdin is not None
    assert child.stdout is not None
    child.stdin.close()
    with contextlib.suppress(TimeoutError, ConnectionError):
        async with asyncio.timeout(_DRAIN_SECONDS):
            while await child.stdout.read(_MIB):
                pass  # thrown away: nobody asked for it
            await child.stdin.wait_closed()
    await child.wait()


def _child_environment() -> dict[str, str]:
    # Where Python itself is found through it, the child needs it too.
    found = os.environ.get("LD_LIBRARY_PATH")
    return _ENVIRONMENT | ({"LD_LIBRARY_PATH": found} if found else {})


def _in_mib(size_bytes: int) -> str:
    return f"{size_bytes / _MIB:g}"
