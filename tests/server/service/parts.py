"""The services over real in-process parts and a stub engine."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from functools import cache
from itertools import count

from tests.quality import recordings
from timbre_server.audio.decoding import DecodeLimits, RecordingDecoder
from timbre_server.batching import BatchingDispatcher
from timbre_server.engine.speaker import SpeakerEncoder
from timbre_server.engine.stub import StubEngine
from timbre_server.engine.worker import ThreadEngineWorker
from timbre_server.ports import EngineDescriptor
from timbre_server.resultcache import EnglishWords, ResultCache, ResultKeys, ResultMemory
from timbre_server.service.cached_speech import CachedSpeechService
from timbre_server.service.casting import Casting
from timbre_server.service.consents import ConsentService
from timbre_server.service.demand import Demand
from timbre_server.service.erasure import Erasure
from timbre_server.service.recordings import RecordingIntake
from timbre_server.service.speech import SpeechService
from timbre_server.service.voices import VoiceService
from timbre_server.store import AloneFleet, InMemoryVoiceStore
from timbre_server.telemetry.metrics import Metrics
from timbre_server.voicecache import HostStorage, MemoryTiers, Tier, TieredFeatureCache, VoiceUse

NOW = 1_800_000_000.0
"""What the clock says, unless a test moves it."""


@cache
def verifier() -> SpeakerEncoder:
    """One for all tests: it takes a while to load and keeps no state."""
    return SpeakerEncoder.load()


def recorded(name: str) -> bytes:
    """A shipped human recording as a client uploads it."""
    return recordings.path(name).read_bytes()


HIS_VOICE = "librivox-male"
HIS_OTHER_TAKE = "librivox-male-other-take"
HER_VOICE = "allison-female"


def a_result_cache(
    descriptor: EngineDescriptor, clock: Callable[[], float], *, similar_text: bool = False
) -> ResultCache:
    """Of a server that runs alone."""
    memory = ResultMemory(capacity_bytes=16 << 20, ttl_seconds=24 * 3600, clock=clock)
    keys = ResultKeys(descriptor, likeness=EnglishWords(descriptor.languages) if similar_text else None)
    return ResultCache(keys, memory, None, max_entry_bytes=4 << 20, clock=clock)


@dataclass
class Parts:
    """The services, and what stands behind them."""

    engine: StubEngine
    dispatcher: BatchingDispatcher
    store: InMemoryVoiceStore
    features: TieredFeatureCache
    memory: Tier
    speech: SpeechService
    cached: CachedSpeechService
    results: ResultCache | None
    voices: VoiceService
    consents: ConsentService
    clock: list[float] = field(default_factory=lambda: [NOW])
    demanded: list[tuple[str, float]] = field(default_factory=list)
    """What was asked for, in order: kind and predicted seconds."""


@asynccontextmanager
async def built_parts(
    engine: StubEngine,
    *,
    require_consent: bool = False,
    max_pending_seconds: float = 60.0,
    max_input_chars: int = 4096,
    max_stored_bytes: int = 64 << 20,
    keeps_results: bool = False,
    similar_text: bool = False,
) -> AsyncIterator[Parts]:
    """The services, running."""
    worker = ThreadEngineWorker(engine)
    dispatcher = BatchingDispatcher(worker, max_pending_seconds=max_pending_seconds)
    fleet = AloneFleet()
    store = InMemoryVoiceStore(max_stored_bytes, fleet)
    metrics = Metrics()
    memory = Tier("host", HostStorage(64 << 20), capacity_bytes=64 << 20, observer=metrics)
    features = TieredFeatureCache(
        engine.descriptor, dispatcher, memory=MemoryTiers(memory), use=VoiceUse(metrics), observer=metrics
    )
    intake = RecordingIntake(RecordingDecoder(DecodeLimits()), min_voiced_seconds=engine.descriptor.min_voiced_seconds)
    clock, numbers = [NOW], count(1)
    demanded: list[tuple[str, float]] = []
    demand = Demand(dispatcher, lambda kind, seconds: demanded.append((str(kind), seconds)))
    shared = {
        "store": store,
        "intake": intake,
        "clock": lambda: clock[0],
        "random_source": lambda: f"{next(numbers):04x}",
    }
    consents = ConsentService(verifier=verifier(), require_consent=require_consent, **shared)
    results = a_result_cache(engine.descriptor, lambda: clock[0], similar_text=similar_text) if keeps_results else None
    erasure = Erasure(store=store, features=features, results=results, fleet=fleet, clock=lambda: clock[0])
    voices = VoiceService(
        engine=engine,
        dispatcher=dispatcher,
        features=features,
        erasure=erasure,
        consents=consents,
        demand=demand,
        **shared,
    )
    casting = Casting(engine=engine, store=store, features=features, intake=intake, require_consent=require_consent)
    speech = SpeechService(
        engine=engine, dispatcher=dispatcher, casting=casting, max_input_chars=max_input_chars, demand=demand
    )
    cached = CachedSpeechService(speech=speech, casting=casting, results=results)
    await worker.start()
    await dispatcher.start()
    try:
        yield Parts(
            engine, dispatcher, store, features, memory, speech, cached, results, voices, consents, clock, demanded
        )
    finally:
        if results is not None:
            await results.close()
        await dispatcher.stop()
        await features.close()
        await worker.stop()
