"""How do all voices of a tenant get into a folder that ``voices import`` restores?"""

from __future__ import annotations

import os
import re
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Final, Protocol, TypeVar

from timbre_server.app.progress import Progress
from timbre_server.app.voice_archive import CONSENTS, MANIFEST, Problem, consent_line, voice_line
from timbre_server.app.voices_import import Tally
from timbre_server.domain.voice import ConsentRecord, VoiceRecord
from timbre_server.errors import ConfigurationError, NotFound
from timbre_server.ports import VoiceStore

PAGE: Final = 100
"""Records that are asked for at once; the API's longest page."""

_FILE_NAME: Final = re.compile(r"[A-Za-z0-9_-]{1,80}")
"""What our ids are made of; anything else could lead out of the folder."""


async def export_voices(store: VoiceStore, tenant: str, folder: Path, progress: Progress) -> Tally:
    """Writes recordings, then the list of consents, then the manifest: an export without one was not finished.

    Voices that are deleted meanwhile may be missing, those that are enrolled meanwhile too.

    Raises:
        ConfigurationError: the folder cannot be written, or holds voices already.
        StoreUnavailable: an export is never half right, so this ends it.
    """
    try:
        if (folder / MANIFEST).exists():
            raise ConfigurationError("the folder holds an export already; choose another one")
        for part in ("voices", "consents"):
            (folder / part).mkdir(mode=0o700, parents=True, exist_ok=True)
        tally = Tally()
        consents = [await _consent(consent, folder, tally) async for consent in _every(store.consents, tenant)]
        voices = []
        async for voice in _every(store.voices, tenant):
            voices.append(await _voice(store, voice, folder, tally))
            progress.step()
        # Lists are newest first; oldest first, an import gives them the same order again.
        _write(folder / CONSENTS, "".join(reversed(consents)).encode())
        _write(folder / MANIFEST, "".join(reversed(voices)).encode())
    except OSError as error:
        raise ConfigurationError(f"the folder cannot be written: {error.strerror}") from error
    return tally


async def _voice(store: VoiceStore, voice: VoiceRecord, folder: Path, tally: Tally) -> str:
    """The voice's line of the manifest, its recording written; empty where it has to be left out."""
    audio = f"voices/{voice.id}.flac"
    if not _FILE_NAME.fullmatch(voice.id):
        tally.problems.append(Problem(ascii(voice.id), "this id cannot be the name of a file"))
        return ""
    try:
        flac = await store.reference(voice.tenant, voice.id, voice.digest)
    except NotFound:
        tally.problems.append(Problem(voice.id, "its recording is not there (any more)"))
        return ""
    _write(folder / audio, flac)
    tally.stored += 1
    return voice_line(voice, audio)


async def _consent(consent: ConsentRecord, folder: Path, tally: Tally) -> str:
    audio = f"consents/{consent.id}.flac"
    if not _FILE_NAME.fullmatch(consent.id):
        tally.problems.append(Problem(ascii(consent.id), "this id cannot be the name of a file"))
        return ""
    _write(folder / audio, consent.recording_flac)
    return consent_line(consent, audio)


class _Named(Protocol):
    @property
    def id(self) -> str: ...


_R = TypeVar("_R", bound=_Named)
_R_co = TypeVar("_R_co", bound=_Named, covariant=True)


class _Pages(Protocol[_R_co]):
    async def __call__(self, tenant: str, *, after: str | None, limit: int) -> tuple[Sequence[_R_co], bool]: ...


async def _every(pages: _Pages[_R], tenant: str) -> AsyncIterator[_R]:
    """Each object of a list once, newest first, though others may be deleted meanwhile."""
    seen: list[str] = []
    told: set[str] = set()
    more = True
    while more:
        try:
            records, more = await pages(tenant, after=seen[-1] if seen else None, limit=PAGE)
        except NotFound:
            seen.pop()  # deleted since: the one before it leads to the same place
            continue
        for record in records:
            seen.append(record.id)
            if record.id not in told:
                told.add(record.id)
                yield record


def _write(file: Path, content: bytes) -> None:
    """All of it or nothing, for nobody else's eyes: voices identify their speakers."""
    part = file.with_suffix(".part")
    with open(part, "wb", opener=_private) as stream:
        stream.write(content)
        stream.flush()
        os.fsync(stream.fileno())
    part.replace(file)


def _private(path: str, flags: int) -> int:
    return os.open(path, flags, 0o600)
