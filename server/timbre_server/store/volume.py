"""How is finished speech kept in a folder, which pods may share as a volume?

A file for each speech, in a folder for each recording, so that an erasure removes a folder.  Files appear whole, by a
rename.  When there are too many bytes, the oldest go.  A full or failing disk is a place that cannot be reached.
"""

from __future__ import annotations

import asyncio
import os
import re
import secrets
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple, TypeVar

from timbre_server.errors import ConfigurationError, StoreUnavailable
from timbre_server.ports import Blob, ResultName

T = TypeVar("T")

BUILT_IN: Final = "built-in"
"""The folder of voices that have no recording."""

_DIGEST: Final = re.compile(r"[0-9a-f]{1,128}")
_PART: Final = ".part"
_LEAVE_SHARE: Final = 0.9
"""Down to this share of the limit the oldest files go, so that not each new one needs a look at all of them."""

_LOOK_EVERY_SHARE: Final = 0.05
"""After so much of the limit was written by this pod it looks at all files again: others write into the same folder."""

_LOOK_EVERY_SECONDS: Final = 600.0
"""And at least so often while anything is written: files that have outlived their time are gone ten minutes later."""


class _File(NamedTuple):
    made_at: float
    size_bytes: int
    path: Path


class VolumeResults:
    """``ResultFiles`` in a folder; every call of the file system runs in a thread."""

    def __init__(
        self, folder: Path, *, max_bytes: int, ttl_seconds: int, clock: Callable[[], float] = time.time
    ) -> None:
        """``clock`` gives Unix time in seconds.

        Raises:
            ConfigurationError: the folder cannot be made or written.
        """
        self._folder = folder
        self._max_bytes = max_bytes
        self._ttl_seconds = ttl_seconds
        self._clock = clock
        self._looking = asyncio.Lock()
        self._written_bytes = 0
        self._looked_at = float("-inf")
        try:
            folder.mkdir(parents=True, exist_ok=True)
            probe = folder / f"{secrets.token_hex(8)}{_PART}"
            probe.write_bytes(b"")
            probe.unlink()
        except OSError as error:
            raise ConfigurationError(f"the folder for finished speech cannot be written: {error.strerror}") from error

    async def get(self, name: ResultName) -> Blob | None:
        return await _in_thread(partial(self._read, self._path(name)))

    async def put(self, name: ResultName, blob: bytes) -> None:
        await self._make_room(len(blob))
        await _in_thread(partial(_write, self._path(name), blob, self._clock()))

    async def remove(self, name: ResultName) -> None:
        await _in_thread(partial(self._path(name).unlink, missing_ok=True))

    async def erase(self, digest: str) -> int:
        return await _in_thread(partial(self._erase, _safe(digest))) if digest else 0

    async def close(self) -> None:
        pass

    async def _make_room(self, size_bytes: int) -> None:
        async with self._looking:
            now = self._clock()
            self._written_bytes += size_bytes
            if (
                self._written_bytes > _LOOK_EVERY_SHARE * self._max_bytes
                or now - self._looked_at >= _LOOK_EVERY_SECONDS
            ):
                await _in_thread(partial(self._tidy, size_bytes))
                self._written_bytes, self._looked_at = 0, now

    def _path(self, name: ResultName) -> Path:
        return self._folder / (_safe(name.digest) if name.digest else BUILT_IN) / _safe(name.key)

    def _read(self, path: Path) -> bytes | None:
        try:
            with path.open("rb") as file:
                if os.fstat(file.fileno()).st_mtime + self._ttl_seconds > self._clock():
                    return file.read()
        except (FileNotFoundError, NotADirectoryError):
            return None
        path.unlink(missing_ok=True)
        return None

    def _erase(self, digest: str) -> int:
        with suppress(FileNotFoundError):  # from now on nobody finds a part of it
            (self._folder / digest).rename(self._folder / f"{digest}.{secrets.token_hex(8)}{_PART}")
        # And what a disk or a dead pod left of an earlier erasure.
        return sum(map(_removed, self._folder.glob(f"{digest}.*{_PART}")))

    def _tidy(self, size_bytes: int) -> None:
        """Removes what has outlived its time, and the oldest where there is no room."""
        now = self._clock()
        files = sorted(self._files())
        held_bytes = sum(file.size_bytes for file in files)
        limit_bytes = self._max_bytes if held_bytes + size_bytes <= self._max_bytes else _LEAVE_SHARE * self._max_bytes
        for file in files:
            if file.made_at + self._ttl_seconds > now and held_bytes + size_bytes <= limit_bytes:
                break
            file.path.unlink(missing_ok=True)
            held_bytes -= file.size_bytes

    def _files(self) -> Iterator[_File]:
        """All of them, those that a dead pod left unfinished too: they are as old as any."""
        for folder in _entries(self._folder):
            if folder.is_dir(follow_symlinks=False):
                for entry in _entries(folder.path):
                    with suppress(FileNotFoundError):
                        stat = entry.stat(follow_symlinks=False)
                        yield _File(stat.st_mtime, stat.st_size, Path(entry.path))


def _entries(folder: str | Path) -> list[os.DirEntry[str]]:
    """What is in it; nothing if it was erased meanwhile."""
    try:
        with os.scandir(folder) as entries:
            return list(entries)
    except FileNotFoundError:
        return []


def _removed(folder: Path) -> int:
    """Removes a folder, which others may be at too; how many blobs were in it.  Raises: OSError: something is left."""
    count = 0
    for entry in _entries(folder):
        Path(entry.path).unlink(missing_ok=True)
        count += not entry.name.endswith(_PART)
    with suppress(FileNotFoundError):
        folder.rmdir()
    return count


def _safe(part: str) -> str:
    """A digest as part of a path: the registry is shared, and nobody shall write beside the folder by a forged record."""
    if not _DIGEST.fullmatch(part):
        raise StoreUnavailable("a recording without a proper digest has no finished speech")
    return part


def _write(path: Path, blob: bytes, made_at: float) -> None:
    part = path.with_name(f"{path.name}.{secrets.token_hex(8)}{_PART}")
    for _ in range(2):
        path.parent.mkdir(exist_ok=True)
        try:
            part.write_bytes(blob)
            os.utime(part, (made_at, made_at))
            part.replace(path)
        except FileNotFoundError:
            continue  # the folder was erased in between
        except OSError:
            part.unlink(missing_ok=True)
            raise
        return


async def _in_thread(call: Callable[[], T]) -> T:
    """What the call returns.  Raises: StoreUnavailable: the file system refused."""
    try:
        return await asyncio.to_thread(call)
    except OSError as error:
        raise StoreUnavailable("the volume for finished speech cannot be used") from error
