"""What does a folder of voices look like: recordings alone, or with a manifest?

Recordings alone: each audio file is a voice, named as the file without its suffix.  With a manifest: JSON lines, one
voice each, ``{"name": "Ann", "audio": "ann.wav", "transcript": "What she says.", "id": "voice_ann", "consent": "cons_1"}``,
where ``name`` and ``audio`` (a path relative to the manifest) must be there.  An export is such a folder with the fields
of ``History`` in each line, and its consents beside it in ``consents.jsonl``.
"""

from __future__ import annotations

import base64
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Annotated, Final, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from timbre_server.api.bodies import MAX_TRANSCRIPT_CHARS
from timbre_server.domain.voice import ConsentRecord, VoiceRecord
from timbre_server.errors import ConfigurationError

MANIFEST: Final = "manifest.jsonl"
CONSENTS: Final = "consents.jsonl"

SUFFIXES: Final = frozenset({".wav", ".mp3", ".ogg", ".oga", ".opus", ".flac", ".webm", ".mp4", ".m4a", ".aac"})
"""What names of files with the containers of ``audio.containers`` end with; other files of a folder are passed over."""

MAX_GENERATION: Final = 2**53
"""Redis' scripts count in doubles, which are exact up to here."""
MAX_UNIX_TIME: Final = 253_402_300_799
"""The end of the year 9999, the last that ``datetime`` knows."""
MAX_REASON_CHARS: Final = 200
"""Of what is said about a line: it may quote the line, whose words may have any length."""

_Time = Annotated[int, Field(ge=0, le=MAX_UNIX_TIME)]


_BASE64: Final = r"^(?:[A-Za-z0-9+/]{4})+(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$"


class History(BaseModel):
    """What a voice that is restored was, so that it is the same again."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    generation: Annotated[int, Field(ge=1, le=MAX_GENERATION)]
    digest: Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
    created_at: _Time
    updated_at: _Time


class _VoiceLine(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    name: str
    audio: str
    transcript: Annotated[str, Field(max_length=MAX_TRANSCRIPT_CHARS)] = ""
    id: Annotated[str, Field(pattern=r"^voice_[A-Za-z0-9_-]{1,64}$")] | None = None
    consent: str | None = None
    history: History | None = None


class _ConsentLine(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    id: Annotated[str, Field(pattern=r"^cons_[A-Za-z0-9_-]{1,64}$")]
    name: str
    language: str
    created_at: _Time
    audio: str
    speaker_embedding: Annotated[str, Field(pattern=_BASE64)]


@dataclass(frozen=True)
class Entry:
    """A voice of the folder."""

    where: str
    """The file, or the line of the manifest, in the words of a report."""
    audio: Path
    name: str
    transcript: str = ""
    voice_id: str | None = None
    consent_id: str | None = None
    history: History | None = None
    """There if the voice was exported."""


@dataclass(frozen=True)
class ConsentEntry:
    """A consent of the folder; its recording is yet to be read."""

    where: str
    audio: Path
    line: _ConsentLine

    def to_record(self, tenant: str, recording_flac: bytes) -> ConsentRecord:
        """The consent as it was."""
        line = self.line
        embedding = base64.b64decode(line.speaker_embedding)
        return ConsentRecord(line.id, tenant, line.name, line.language, line.created_at, recording_flac, embedding)


@dataclass(frozen=True)
class Problem:
    """Something of the folder that cannot be a voice, and why."""

    where: str
    reason: str


@dataclass(frozen=True)
class Archive:
    """What a folder holds."""

    entries: list[Entry] = field(default_factory=list)
    consents: list[ConsentEntry] = field(default_factory=list)
    problems: list[Problem] = field(default_factory=list)


def read_archive(place: Path, *, anywhere: bool = False) -> Archive:
    """The voices of a folder, of its manifest if it has one, or of a manifest.

    With ``anywhere`` a manifest may name recordings outside of its folder: whoever wrote it may read them anyway.

    Raises:
        ConfigurationError: there is nothing like that, or it cannot be read.
    """
    try:
        if place.is_file():
            return _of_manifest(place, anywhere=anywhere)
        if (place / MANIFEST).is_file():
            return _of_manifest(place / MANIFEST, anywhere=anywhere)
        files = sorted(file for file in place.iterdir() if _is_recording(file))
    except OSError as error:
        raise ConfigurationError(f"the voices cannot be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigurationError("the manifest is no UTF-8") from error
    return Archive([Entry(file.name, file, file.stem) for file in files])


def _is_recording(file: Path) -> bool:
    """By its name; hidden ones, as macOS leaves beside each file on foreign disks, are none."""
    return file.suffix.lower() in SUFFIXES and not file.name.startswith(".") and file.is_file()


def voice_line(voice: VoiceRecord, audio: str) -> str:
    """The line of an exported voice whose recording lies at ``audio``."""
    history = History(
        generation=voice.generation, digest=voice.digest, created_at=voice.created_at, updated_at=voice.updated_at
    )
    line = _VoiceLine(
        name=voice.name,
        audio=audio,
        transcript=voice.transcript,
        id=voice.id,
        consent=voice.consent_id,
        history=history,
    )
    return line.model_dump_json() + "\n"


def consent_line(consent: ConsentRecord, audio: str) -> str:
    """The line of an exported consent whose recording lies at ``audio``."""
    line = _ConsentLine(
        id=consent.id,
        name=consent.name,
        language=consent.language,
        created_at=consent.created_at,
        audio=audio,
        speaker_embedding=base64.b64encode(consent.speaker_embedding).decode("ascii"),
    )
    return line.model_dump_json() + "\n"


def _of_manifest(manifest: Path, *, anywhere: bool) -> Archive:
    archive = Archive()
    for where, line in _lines(manifest, _VoiceLine, archive.problems):
        audio = manifest.parent / line.audio if anywhere else _inside(manifest.parent, line.audio)
        if audio is None:
            archive.problems.append(Problem(where, "`audio` must be a path inside the manifest's folder"))
            continue
        entry = Entry(where, audio, line.name, line.transcript, line.id, line.consent, line.history)
        if line.history is not None and line.id is None:
            archive.problems.append(Problem(where, "`history` belongs to an `id`"))
            continue
        archive.entries.append(entry)
    consents = manifest.with_name(CONSENTS)
    if consents.is_file():
        for where, consent in _lines(consents, _ConsentLine, archive.problems):
            if (audio := _inside(manifest.parent, consent.audio)) is None:
                archive.problems.append(Problem(where, "`audio` must be a path inside the manifest's folder"))
            else:
                archive.consents.append(ConsentEntry(where, audio, consent))
    return archive


_Line = TypeVar("_Line", bound=BaseModel)


def _lines(file: Path, kind: type[_Line], problems: list[Problem]) -> Iterator[tuple[str, _Line]]:
    """Each line that can be read, with its place; the others become problems."""
    for number, text in enumerate(file.read_text("utf-8-sig").split("\n"), 1):
        where = f"{file.name}:{number}"
        if not text.strip():
            continue
        try:
            yield where, kind.model_validate_json(text)
        except ValidationError as error:
            first = error.errors(include_input=False, include_url=False)[0]
            place = ".".join(str(part) for part in first["loc"])
            problems.append(Problem(where, (f"{place}: " if place else "")[:MAX_REASON_CHARS] + str(first["msg"])))


def _inside(folder: Path, name: str) -> Path | None:
    """The file of that name in the folder or below, None if the name leads elsewhere."""
    try:
        return folder / name if (folder / name).resolve().is_relative_to(folder.resolve()) else None
    except (OSError, ValueError):  # a loop of links, a NUL
        return None
