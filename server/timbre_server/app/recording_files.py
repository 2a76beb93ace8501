"""What is in a recording's file, without trusting that it is one?"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Callable
from io import BufferedReader
from pathlib import Path
from typing import TypeVar

from timbre_server.errors import AudioTooLarge, AudioUnreadable
from timbre_server.settings import MIB

T = TypeVar("T")


def read_recording(audio: Path, max_bytes: int) -> bytes:
    """The file.  Blocks.

    Raises:
        AudioTooLarge: before more of it is read than an upload may have.
        AudioUnreadable: it is no file.
        OSError: it is not there, or may not be read.
    """
    return _opened(audio, max_bytes, BufferedReader.read)


def recording_digest(audio: Path, max_bytes: int) -> str:
    """sha256 of the file in hex.  Blocks.  Raises: as ``read_recording``."""
    return _opened(audio, max_bytes, lambda file: hashlib.file_digest(file, "sha256").hexdigest())


def _opened(audio: Path, max_bytes: int, work: Callable[[BufferedReader], T]) -> T:
    """What the work makes of a file of a size that an upload may have."""
    with open(audio, "rb", opener=_without_waiting) as file:
        status = os.fstat(file.fileno())
        if not stat.S_ISREG(status.st_mode):
            raise AudioUnreadable("this is not a file")
        if status.st_size > max_bytes:
            raise AudioTooLarge(f"The recording is larger than {max_bytes / MIB:g} MiB.")
        return work(file)


def _without_waiting(path: str, flags: int) -> int:
    """Opens a pipe too, without a word from its other end, which may never come."""
    return os.open(path, flags | os.O_NONBLOCK)
