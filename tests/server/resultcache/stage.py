"""Pods for tests of finished speech: real caches around an engine that speaks in scripted pieces, in virtual time."""

from __future__ import annotations

import asyncio
import zlib
from collections.abc import AsyncGenerator, Callable
from dataclasses import dataclass, field

import numpy as np

from tests.server.resultcache.sayings import DESCRIPTOR, saying
from tests.server.resultcache.shared_memory import SharedMemory, World
from timbre_server.audio.quantisation import from_int16, to_int16
from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import AudioFormat
from timbre_server.ports import CacheWish, Make, Saying, SpeechTimings, Take
from timbre_server.resultcache.cache import ResultCache
from timbre_server.resultcache.english import EnglishWords
from timbre_server.resultcache.keys import ResultKeys
from timbre_server.resultcache.memory import ResultMemory
from timbre_server.resultcache.sealing import Sealer
from timbre_server.resultcache.shared_tier import SharedResultTier

RATE_HZ = 24_000
PIECE_SAMPLES = 2_400
PIECES = 3
SECONDS_PER_PIECE = 1.0
TTL_SECONDS = 1000.0
NOW = 1_800_000_000.0
"""Unix time when a test's loop begins."""


def piece_of(text: str, number: int) -> Samples:
    """No two pieces are alike, and each is of 16-bit values, as what is kept."""
    seed = zlib.crc32(f"{text} {number}".encode())
    return from_int16(to_int16(np.random.default_rng(seed).uniform(-1, 1, PIECE_SAMPLES).astype(np.float32)))


def speech_of(text: str, pieces: int = PIECES) -> Samples:
    """All that the engine says."""
    return np.concatenate([piece_of(text, number) for number in range(pieces)])


@dataclass
class Engine:
    """Makes speech, a piece each second, and says what it did."""

    pieces: int = PIECES
    piece: Callable[[str, int], Samples] = piece_of
    as_asked: bool = True
    begun: list[str] = field(default_factory=list)
    """Texts whose speech was begun."""
    spoken: int = 0
    """Pieces that were made."""
    closed: int = 0
    """Speeches that were closed."""
    refuses: BaseException | None = None
    """Raised before anything is said."""
    fails_at: int | None = None
    failure: BaseException = field(default_factory=lambda: RuntimeError("fails"))

    def make(self, text: str) -> Make:
        async def make() -> Spoken:
            self.begun.append(text)
            await asyncio.sleep(SECONDS_PER_PIECE)
            if self.refuses is not None:
                raise self.refuses
            return Spoken(self, text)

        return make


class Spoken:
    """``Making`` of one text, its first piece there."""

    sample_rate_hz = RATE_HZ
    voice_source = "host"

    def __init__(self, engine: Engine, text: str) -> None:
        self.as_asked = engine.as_asked
        self.timings = SpeechTimings(voice_seconds=0.25)
        self._engine = engine
        self._text = text

    async def samples(self) -> AsyncGenerator[Samples, None]:
        for number in range(self._engine.pieces):
            if number:
                await asyncio.sleep(SECONDS_PER_PIECE)
            if number == self._engine.fails_at:
                raise self._engine.failure
            self._engine.spoken += 1
            yield self._engine.piece(self._text, number)

    async def aclose(self) -> None:
        self._engine.closed += 1


@dataclass
class Heard:
    """What one listener got."""

    outcome: str
    id: str
    age_seconds: float | None
    samples: Samples


@dataclass
class Pod:
    """A cache with its parts in reach."""

    cache: ResultCache
    engine: Engine
    memory: ResultMemory

    async def take(self, text: str = "Hello.", wish: CacheWish | None = None, one: Saying | None = None) -> Take:
        """Speech that has begun; the caller closes it."""
        name, wish = self.cache.name(one or saying(text)), wish or CacheWish()
        erasures = self.cache.erasures
        take = await self.cache.find(name, wish)
        return take or await self.cache.obtain(name, self.engine.make(text), wish, erasures=erasures)

    async def find(self, text: str = "Hello.", wish: CacheWish | None = None) -> Take | None:
        """Speech that was made before."""
        return await self.cache.find(self.cache.name(saying(text)), wish or CacheWish())

    async def ask(self, text: str = "Hello.", wish: CacheWish | None = None, one: Saying | None = None) -> Heard:
        """Listens to the end."""
        take = await self.take(text, wish, one)
        try:
            return await heard(take)
        finally:
            await take.aclose()
            self.cache.check_integrity()

    def at_hand(self, text: str, audio_format: AudioFormat, wish: CacheWish | None = None) -> Take | None:
        return self.cache.at_hand(self.cache.name(saying(text)), audio_format, wish or CacheWish())


async def heard(take: Take) -> Heard:
    """All of it, from the beginning."""
    pieces = [piece async for piece in take.samples()]
    return Heard(take.outcome, take.id, take.age_seconds, np.concatenate(pieces))


def unix_time() -> float:
    """The loop's virtual seconds as Unix time."""
    return NOW + asyncio.get_running_loop().time()


def a_pod(
    world: World | None = None,
    *,
    room_bytes: int = 1 << 20,
    max_entry_bytes: int = 1 << 20,
    lease_seconds: float = 30.0,
    sealer: Sealer | None = None,
    similar_text: bool = False,
) -> Pod:
    """A pod with an empty memory; without a world it is alone."""
    memory = ResultMemory(capacity_bytes=room_bytes, ttl_seconds=TTL_SECONDS, clock=unix_time)
    shared = None
    if world is not None:
        place = SharedMemory(world, lease_seconds=lease_seconds)
        shared = SharedResultTier(place, max_entry_bytes=max_entry_bytes, sealer=sealer)
    keys = ResultKeys(
        DESCRIPTOR,
        secret=b"" if sealer is None else sealer.naming_secret,
        likeness=EnglishWords(DESCRIPTOR.languages) if similar_text else None,
    )
    cache = ResultCache(keys, memory, shared, max_entry_bytes=max_entry_bytes, clock=unix_time)
    return Pod(cache, Engine(), memory)


def now() -> float:
    """Virtual seconds."""
    return asyncio.get_running_loop().time()
