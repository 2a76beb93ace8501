"""An import against a real Redis, as the command makes it, with what a test wants to watch."""

from __future__ import annotations

import io
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

from tests.quality import recordings
from tests.redis_server import RedisServer
from timbre_contract.keys import ServiceKeys
from timbre_server.app.progress import Progress
from timbre_server.app.voice_archive import read_archive
from timbre_server.app.voices_import import ImportRules, Tally, VoicesImport
from timbre_server.audio.decoding import DecodeLimits, Recording, RecordingDecoder
from timbre_server.domain.voice import VoiceRecord
from timbre_server.engine.speaker import SpeakerEncoder
from timbre_server.service.consents import ConsentService
from timbre_server.service.recordings import RecordingIntake
from timbre_server.settings import RedisSettings
from timbre_server.store.bulk_voices import BulkVoiceStore
from timbre_server.store.link import RedisLink

NOW = 1_800_000_000
MIN_VOICED_SECONDS = 3.0
HIS, HER = "librivox-male", "allison-female"


class CountingDecoder:
    """The real decoder, and how often it was asked."""

    def __init__(self) -> None:
        self._decoder = RecordingDecoder(DecodeLimits())
        self.decoded = 0

    async def decode(self, data: bytes, *, param: str) -> Recording:
        self.decoded += 1
        return await self._decoder.decode(data, param=param)


@cache
def verifier() -> SpeakerEncoder:
    """One for all tests: it takes a while to load and keeps no state."""
    return SpeakerEncoder.load()


def folder_with(folder: Path, **names: str) -> Path:
    """A folder with shipped recordings: name in the folder -> name of the recording."""
    folder.mkdir(exist_ok=True)
    for name, recording in names.items():
        (folder / f"{name}.flac").write_bytes(recordings.path(recording).read_bytes())
    return folder


class Registry:
    """One tenant's voices in a scope."""

    def __init__(self, store: BulkVoiceStore, *, tenant: str, require_consent: bool) -> None:
        self.store = store
        self.tenant = tenant
        self.decoder = CountingDecoder()
        self.now = NOW
        intake = RecordingIntake(self.decoder, min_voiced_seconds=MIN_VOICED_SECONDS)
        self.consents = ConsentService(
            store=store,
            intake=intake,
            verifier=verifier(),
            require_consent=require_consent,
            clock=lambda: self.now,
        )

    async def imported(self, place: Path, consent_id: str | None = None) -> Tally:
        """What an import of that folder came to."""
        work = VoicesImport(
            ImportRules(MIN_VOICED_SECONDS, max_upload_bytes=1 << 20, at_once=2),
            tenant=self.tenant,
            store=self.store,
            decoder=self.decoder,
            consents=self.consents,
            progress=silent(),
            clock=lambda: self.now,
        )
        await work.run(read_archive(place), consent_id=consent_id)
        return work.tally

    async def voices(self) -> Sequence[VoiceRecord]:
        """All of them, by name."""
        voices, _ = await self.store.voices(self.tenant, after=None, limit=1000)
        return sorted(voices, key=lambda voice: voice.name)


@asynccontextmanager
async def registry(
    redis_server: RedisServer, scope: str, *, tenant: str = "default", require_consent: bool = False
) -> AsyncIterator[Registry]:
    """The registry of a scope; a connection of its own."""
    link = RedisLink(RedisSettings(url=redis_server.url, connect_timeout_seconds=2.0, read_timeout_seconds=2.0))
    try:
        yield Registry(BulkVoiceStore(link, ServiceKeys(scope)), tenant=tenant, require_consent=require_consent)
    finally:
        await link.close()


def silent() -> Progress:
    """Progress that nobody sees."""
    return Progress(None, "voices", stream=io.StringIO())
