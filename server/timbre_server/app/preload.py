"""Which voices does the service declare, and are they there?

A folder of recordings with a manifest, as ``voices import`` reads it.  Every pod declares all of them when it starts and
whenever a file changes, so a changed recording is heard without a restart; whoever is first does the work of all.
What cannot become a voice is told and stops nothing; only a place that is not there stops the start, because nothing would
ever come from it.
"""

from __future__ import annotations

import asyncio
import hashlib
import os
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final, Protocol

from timbre_contract.api import MAX_PRELOAD_REFUSALS
from timbre_server.app.recording_files import read_recording
from timbre_server.app.voice_archive import MANIFEST, SUFFIXES, Archive, Entry, read_archive
from timbre_server.ending import end
from timbre_server.errors import ConfigurationError, NotFound, RequestRejected, TimbreError
from timbre_server.service.names import VOICE_PREFIX
from timbre_server.service.voices import Declared, VoiceUpload
from timbre_server.telemetry.log import get_logger

_Signature = tuple[int, int, int]
"""Inode, time of change and size: a file with the same ones has not changed, also behind a mounted volume's links."""


_SETTING: Final = "TIMBRE_VOICES__PRELOAD"

_log = get_logger("preload")


def checked_place(place: Path) -> Path:
    """The same, where voices can come from it; what lies in it may come later.

    Raises:
        ConfigurationError: it is not there, or cannot be read, or is a recording itself.
    """
    try:
        if place.is_dir():
            with os.scandir(place):
                return place
        with place.open("rb"):
            pass
    except OSError as error:
        raise ConfigurationError(f"{_SETTING} cannot be read: {error.strerror}") from error
    if place.suffix.lower() in SUFFIXES:
        raise ConfigurationError(f"{_SETTING} names a recording: it takes the folder that it lies in, or a manifest")
    return place


class Declaring(Protocol):
    """``service.voices.VoiceService``."""

    async def declare(self, tenant: str, voice_id: str, name: str, upload: VoiceUpload) -> Declared:
        """As there."""
        ...


@dataclass(frozen=True)
class _Known:
    """What was found of one voice the last time."""

    entry: Entry
    signature: _Signature | None
    """None: it has to be tried again."""
    refusal: str = ""
    waits: str = ""
    """Why it has to wait."""


class Preload:
    """Keeps the declared voices in the registry; lives on one event loop."""

    def __init__(self, folder: Path, voices: Declaring, *, tenant: str, max_bytes: int, check_seconds: float) -> None:
        """``folder`` is looked at again after every ``check_seconds``."""
        self._folder = folder
        self._voices = voices
        self._tenant = tenant
        self._max_bytes = max_bytes
        self._check_seconds = check_seconds
        self._known: dict[str, _Known] = {}
        self._unreadable = ""
        self._nothing_told = False
        self._looked = asyncio.Event()
        self._watching: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Declares from now on."""
        self._watching = asyncio.create_task(self._watch(), name="preload")

    async def first_look(self, deadline_seconds: float) -> None:
        """Returns when every voice was tried once, or when the time is up: the rest goes on beside the requests."""
        try:
            async with asyncio.timeout(deadline_seconds):
                await self._looked.wait()
        except TimeoutError:
            _log.warning("voices are still being preloaded", extra={"fields": self.report()})

    async def stop(self) -> None:
        """Ends it.  Idempotent."""
        if self._watching is not None:
            await end([self._watching])

    def report(self) -> Mapping[str, object]:
        """How many are there, and which cannot be; for people and for the operator."""
        known = self._known
        refused = [{"voice": voice_id, "reason": one.refusal} for voice_id, one in known.items() if one.refusal]
        if self._unreadable:
            refused.append({"voice": "", "reason": self._unreadable})
        waiting = sum(one.signature is None and not one.refusal for one in known.values())
        return {
            "present": len(known) - len(refused) - waiting + bool(self._unreadable),
            "waiting": waiting,
            "refused": refused[:MAX_PRELOAD_REFUSALS],
        }

    async def _watch(self) -> None:
        while True:
            await self.look()
            self._looked.set()
            await asyncio.sleep(self._check_seconds)

    async def look(self) -> None:
        """Declares what is new or changed, and what has to be tried again."""
        try:
            archive = await asyncio.to_thread(read_archive, self._folder, anywhere=True)
        except ConfigurationError as error:
            self._cannot_read(error.message)
            return
        self._cannot_read("; ".join(f"{problem.where}: {problem.reason}" for problem in archive.problems))
        self._tell_of_nothing(archive)
        declared = _by_id(archive)
        self._known = {voice_id: one for voice_id, one in self._known.items() if voice_id in declared}
        for voice_id, entry in declared.items():
            await self._keep(voice_id, entry)

    async def _keep(self, voice_id: str, entry: Entry) -> None:
        """Declares one voice, unless it is known to be as it was."""
        before = self._known.get(voice_id)
        signature = await asyncio.to_thread(_signature, entry.audio)
        if before is not None and signature is not None and (before.entry, before.signature) == (entry, signature):
            return
        self._known.setdefault(voice_id, _Known(entry, None))
        try:
            audio = await asyncio.to_thread(read_recording, entry.audio, self._max_bytes)
            upload = VoiceUpload(audio, entry.consent_id, entry.transcript)
            became = await self._voices.declare(self._tenant, voice_id, entry.name, upload)
        except OSError as error:
            self._refuse(
                voice_id, _Known(entry, None, f"its recording cannot be read: {error.strerror or 'no reason'}")
            )
        except NotFound as error:  # a consent, which may still come
            self._refuse(voice_id, _Known(entry, None, error.message))
        except RequestRejected as error:
            self._refuse(voice_id, _Known(entry, signature, error.message))
        except TimbreError as error:  # the store is away, the engine is busy: time heals it
            before, self._known[voice_id] = self._known.get(voice_id), _Known(entry, None, waits=error.message)
            if before is None or before.waits != error.message:
                _log.warning("a voice waits: %s", error.message, extra={"fields": {"voice": voice_id}})
        else:
            self._known[voice_id] = _Known(entry, signature)
            if became is not Declared.PRESENT:
                _log.info("a declared voice was %s", became, extra={"fields": {"voice": voice_id}})

    def _refuse(self, voice_id: str, found: _Known) -> None:
        """Says it once."""
        before = self._known.get(voice_id)
        if before is None or before.refusal != found.refusal:
            _log.error("a voice cannot be preloaded: %s", found.refusal, extra={"fields": {"voice": voice_id}})
        self._known[voice_id] = found

    def _tell_of_nothing(self, archive: Archive) -> None:
        """Once: it may be another folder than was meant, or its voices may still come."""
        nothing = not archive.entries and not archive.problems
        if nothing and not self._nothing_told:
            _log.warning("%s has no voices: neither a recording nor a line of a %s", _SETTING, MANIFEST)
        self._nothing_told = nothing

    def _cannot_read(self, why: str) -> None:
        if why and why != self._unreadable:
            _log.error("the list of voices to preload has mistakes: %s", why)
        self._unreadable = why


def _by_id(archive: Archive) -> dict[str, Entry]:
    """Entries under their ids; one without gets an id of its name, so that another recording replaces it."""
    named: dict[str, Entry] = {}
    for entry in archive.entries:
        voice_id = entry.voice_id or VOICE_PREFIX + hashlib.sha256(entry.name.encode()).hexdigest()[:32]
        named[voice_id] = replace(entry, where="", history=None)  # where it stands in the list is no part of it
    return named


def _signature(audio: Path) -> _Signature | None:
    try:
        status = audio.stat()
    except OSError:
        return None
    return status.st_ino, status.st_mtime_ns, status.st_size
