"""How do many voices get into the registry and out of it, without a server?"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from timbre_contract.keys import ServiceKeys
from timbre_server.api.application import DEFAULT_TENANT
from timbre_server.app.progress import Progress
from timbre_server.app.voice_archive import read_archive
from timbre_server.app.voices_export import PAGE, export_voices
from timbre_server.app.voices_import import ImportRules, Tally, VoicesImport
from timbre_server.app.wiring import build_engine
from timbre_server.audio.decoding import DecodeLimits, RecordingDecoder
from timbre_server.engine.speaker.lazy import LazySpeakerVerifier
from timbre_server.errors import ConfigurationError, NotFound, StoreUnavailable, TimbreError
from timbre_server.service.consents import ConsentService
from timbre_server.service.recordings import RecordingIntake
from timbre_server.settings import Settings
from timbre_server.store.bulk_voices import BulkVoiceStore
from timbre_server.store.link import RedisLink

EXIT_FAILED: Final = 1
"""Something could not be done; what could be done was."""
EXIT_INTERRUPTED: Final = 130
"""As shells report an end by SIGINT: 128 and its number."""
CONNECT_SECONDS: Final = 2.0
"""No client waits here, so a connection may take as long as it takes over a bad line."""

_EPILOG: Final = """\
The registry is the one of TIMBRE_REDIS__URL and TIMBRE_SCOPE; all other settings are the server's too, as
TIMBRE_VOICES__REQUIRE_CONSENT and TIMBRE_ENGINE__NAME, whose engine says how much speech a voice needs.
"""
_IMPORT: Final = """\
Enrols every recording of a folder, not of its subfolders (the file's name without its suffix becomes the voice's name), or
of a manifest of JSON lines, one voice each:

  {"name": "Ann", "audio": "ann.wav", "transcript": "What she says.", "id": "voice_ann", "consent": "cons_1"}

where "audio" is a path relative to the manifest, and all but "name" and "audio" may be left out. A folder that
`voices export` wrote is restored: same ids, same generations, and the consents.

Each recording is decoded and checked as an upload is. Bad ones are listed at the end with the reason, the exit code is
then 1, and the good ones stay. A second run skips what is there already, so an import that was interrupted is simply run
again; a voice without an "id" counts as there if the same file was imported under the same name before, and is enrolled
again if it was deleted since.

No features are extracted here: the first pod that uses a voice does it, or its warm-up.
"""


def main(argv: Sequence[str], read_settings: Callable[[], Settings]) -> int:
    """Does what the command line says and returns the exit code.

    Raises:
        ConfigurationError: the settings or the folder cannot work.
    """
    arguments = _parser().parse_args(argv)
    settings = read_settings()
    if not settings.redis.url:
        raise ConfigurationError(
            "`voices` needs TIMBRE_REDIS__URL: a server without one keeps its voices in its own memory, out of reach"
        )
    try:
        return asyncio.run(_run(arguments, settings))
    except KeyboardInterrupt:
        print("interrupted; run it again to go on", file=sys.stderr)  # noqa: T201 - the command's output
        return EXIT_INTERRUPTED
    except ConfigurationError:
        raise
    except TimbreError as error:
        print(f"timbre-server voices: {error.message}", file=sys.stderr)  # noqa: T201 - the command's output
        return EXIT_FAILED


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="timbre-server voices", description="Moves voices into the registry and out of it.", epilog=_EPILOG
    )
    commands = parser.add_subparsers(dest="command", required=True, metavar="COMMAND")
    raw = argparse.RawDescriptionHelpFormatter
    importing = commands.add_parser(
        "import", help="enrol a folder of recordings", description=_IMPORT, formatter_class=raw
    )
    importing.add_argument("place", type=Path, metavar="DIR|MANIFEST", help="a folder, or a manifest of JSON lines")
    importing.add_argument("--consent", metavar="ID", help="consent of the voices that name none")
    exporting = commands.add_parser("export", help="write voices and consents to a folder")
    exporting.add_argument("place", type=Path, metavar="DIR", help="a folder without an export; made if missing")
    listing = commands.add_parser("list", help="list voices, newest first")
    listing.add_argument("--after", metavar="ID", help="begin behind this voice")
    listing.add_argument("--limit", type=_positive, default=PAGE, metavar="N", help="at most so many (%(default)s)")
    for command in (importing, exporting, listing):
        command.add_argument("--tenant", default=DEFAULT_TENANT, help="whose voices (%(default)s)")
    return parser


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and int(text) > 0):
        raise argparse.ArgumentTypeError("must be a whole number, 1 or more")
    return int(text)


async def _run(arguments: argparse.Namespace, settings: Settings) -> int:
    async with _store(settings) as store:
        if arguments.command == "import":
            return await _import(arguments, settings, store)
        if arguments.command == "export":
            return await _export(arguments, store)
        return await _list(arguments, store)


@asynccontextmanager
async def _store(settings: Settings) -> AsyncIterator[BulkVoiceStore]:
    """The registry, with more patience than a request has."""
    patience = settings.redis.write_timeout_seconds
    patient = {
        "connect_timeout_seconds": max(CONNECT_SECONDS, settings.redis.connect_timeout_seconds),
        "read_timeout_seconds": patience,
        "request_budget_seconds": patience,
    }
    link = RedisLink(settings.redis.model_copy(update=patient))
    try:
        if not await link.start():
            raise StoreUnavailable("Redis does not answer at TIMBRE_REDIS__URL")
        yield BulkVoiceStore(link, ServiceKeys(settings.scope))
    finally:
        await link.close()


async def _import(arguments: argparse.Namespace, settings: Settings, store: BulkVoiceStore) -> int:
    archive = await asyncio.to_thread(read_archive, arguments.place)
    limits = DecodeLimits(max_bytes=settings.voices.max_upload_bytes, max_seconds=settings.voices.max_reference_seconds)
    decoder = RecordingDecoder(limits, max_children=settings.voices.decoder_processes)
    await decoder.check_ready()
    min_voiced_seconds = build_engine(settings.engine).descriptor.min_voiced_seconds
    consents = ConsentService(
        store=store,
        intake=RecordingIntake(decoder, min_voiced_seconds=min_voiced_seconds),
        verifier=LazySpeakerVerifier(),
        require_consent=settings.voices.require_consent,
        clock=time.time,
    )
    if arguments.consent is not None:
        await consents.consent(arguments.tenant, arguments.consent)  # told once, not for each voice
    progress = Progress(len(archive.entries), "voices")
    work = VoicesImport(
        ImportRules(min_voiced_seconds, settings.voices.max_upload_bytes, settings.voices.decoder_processes),
        tenant=arguments.tenant,
        store=store,
        decoder=decoder,
        consents=consents,
        progress=progress,
        clock=time.time,
    )
    try:
        await work.run(archive, consent_id=arguments.consent)
    finally:
        progress.end()
        _report(work.tally, "imported")
    return EXIT_FAILED if work.tally.problems else 0


async def _export(arguments: argparse.Namespace, store: BulkVoiceStore) -> int:
    progress = Progress(None, "voices")
    try:
        tally = await export_voices(store, arguments.tenant, arguments.place, progress)
    finally:
        progress.end()
    _report(tally, "exported")
    return EXIT_FAILED if tally.problems else 0


async def _list(arguments: argparse.Namespace, store: BulkVoiceStore) -> int:
    try:
        voices, more = await store.voices(arguments.tenant, after=arguments.after, limit=arguments.limit)
    except NotFound as error:
        raise ConfigurationError("no voice has the id in --after") from error
    for voice in voices:
        created = datetime.fromtimestamp(voice.created_at, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
        print(f"{voice.id}\t{voice.generation}\t{created}\t{_shown(voice.name)}")  # noqa: T201 - the command's output
    if more and voices:
        print(f"more: --after {voices[-1].id}", file=sys.stderr)  # noqa: T201 - the command's output
    return 0


def _report(tally: Tally, done: str) -> None:
    there = f", {tally.present} there already" if tally.present else ""
    print(f"{tally.stored} {done}{there}, {len(tally.problems)} refused")  # noqa: T201 - the command's output
    for problem in tally.problems:
        print(f"  {_shown(problem.where)}: {_shown(problem.reason)}", file=sys.stderr)  # noqa: T201 - the same


def _shown(text: str) -> str:
    """The text without what could write elsewhere on a terminal: names of files and voices are others' words."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)
