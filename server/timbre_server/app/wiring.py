"""Which adapter stands behind which port?  The only module that knows."""

from __future__ import annotations

import asyncio
import importlib
import time
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp

from timbre_contract.api import PRELOAD_FIELD, WARM_UP_FIELD, WarmUpOutcome
from timbre_server.api.application import DEFAULT_TENANT, ApiOptions, Services, create_api
from timbre_server.app.observers import QueueObserver
from timbre_server.app.preload import Preload, checked_place
from timbre_server.app.presence import Presence
from timbre_server.app.registries import Registry, build_registry
from timbre_server.app.results import ResultPlaces, build_results
from timbre_server.app.tiers import FeatureTiers, build_tiers
from timbre_server.audio.decoding import DecodeLimits, RecordingDecoder
from timbre_server.batching import BatchingDispatcher, Limits
from timbre_server.engine.speaker.lazy import LazySpeakerVerifier
from timbre_server.engine.worker import ThreadEngineWorker
from timbre_server.errors import ConfigurationError
from timbre_server.ports import Engine, VoiceName
from timbre_server.service.cached_speech import CachedSpeechService
from timbre_server.service.casting import Casting
from timbre_server.service.catalogue import ModelCatalogue
from timbre_server.service.consents import ConsentService
from timbre_server.service.demand import Demand
from timbre_server.service.erasure import Erasure
from timbre_server.service.lifecycle import Lifecycle
from timbre_server.service.recordings import RecordingIntake
from timbre_server.service.speech import SpeechService
from timbre_server.service.voices import VoiceService
from timbre_server.service.warmup import WarmUp
from timbre_server.settings import EngineSettings, Settings, VoicesSettings
from timbre_server.telemetry.metrics import Metrics

ENCODER_THREADS: Final = 2
"""Encoding takes 1 % of playing time (benchmarks/audio_codecs.py): two threads keep up with 100 streams each."""

# Imported by name, so that a server of one engine never loads what another one needs.
_ENGINES: Final = {
    "embedded": "timbre_server.engine.embedded:EmbeddedEngine",
    "pocket-tts": "timbre_server.engine.pocket_tts.engine:PocketTtsEngine",
    "stub": "timbre_server.engine.stub:StubEngine",
}


@dataclass(frozen=True)
class Parts:
    """A wired server, not started."""

    api: ASGIApp
    engine_name: str
    worker: ThreadEngineWorker
    dispatcher: BatchingDispatcher
    encoders: ThreadPoolExecutor
    decoder: RecordingDecoder
    registry: Registry
    tiers: FeatureTiers
    results: ResultPlaces
    presence: Presence | None
    """None where a server answers nothing before its engine is loaded."""
    warm_up: WarmUp | None
    preload: Preload | None
    warm_seconds: float
    """How long a pod waits until its declared voices were tried."""

    async def start(self) -> None:
        """Loads the engine, and sees meanwhile whether recordings can be decoded here and who else is there.

        Raises:
            ConfigurationError: one of them can never work here.
            EngineError: the engine failed to start.
        """
        async with asyncio.TaskGroup() as starting:
            starting.create_task(self.worker.start())
            starting.create_task(self.decoder.check_ready())
            starting.create_task(self._meet_others())
        await self.dispatcher.start()
        self.tiers.start()
        self.results.start()

    async def _meet_others(self) -> None:
        await self.registry.start()
        if self.presence is not None:
            self.presence.start()

    async def warm(self, progress: Callable[[str], None]) -> None:
        """Loads the voices that will be asked for; ``progress`` is told in a sentence how far it is."""
        async with asyncio.TaskGroup() as warming:
            if self.warm_up is not None:
                warming.create_task(self.warm_up.run(progress))
            if self.preload is not None:
                self.preload.start()
                warming.create_task(self.preload.first_look(self.warm_seconds))

    def cache_report(self) -> Mapping[str, object]:
        """What the voice cache holds and how fresh it is."""
        # A server that runs alone has nothing to load.
        outcome = WarmUpOutcome.COMPLETED if self.warm_up is None else self.warm_up.outcome
        return {
            **self.tiers.report(),
            **self.results.report(),
            **self.registry.report(),
            WARM_UP_FIELD: outcome,
            **self._declared(),
        }

    def _declared(self) -> Mapping[str, object]:
        return {} if self.preload is None else {PRELOAD_FIELD: self.preload.report()}

    def health(self) -> str | None:
        """None while all is well, else why only a restart helps."""
        return self.dispatcher.health() or self.tiers.health()

    async def stop(self) -> None:
        """Ends everything that runs.  Idempotent."""
        if self.preload is not None:
            await self.preload.stop()
        if self.presence is not None:
            await self.presence.stop()
        await self.results.stop()
        await self.dispatcher.stop()
        await self.tiers.stop()
        await self.registry.stop()
        await self.worker.stop()
        self.encoders.shutdown(wait=False, cancel_futures=True)


def wire(settings: Settings, lifecycle: Lifecycle, metrics: Metrics) -> Parts:
    """The whole server.

    Raises:
        ConfigurationError: the engine cannot be made from these settings.
    """
    engine = build_engine(settings.engine)
    worker = ThreadEngineWorker(engine)
    observer = QueueObserver(metrics)
    dispatcher = _build_dispatcher(settings, worker, metrics, observer)
    registry = build_registry(settings, metrics)
    demand = Demand(dispatcher, metrics.engine_demanded)
    tiers = build_tiers(
        engine.descriptor, dispatcher, registry.shared, settings.voice_cache, metrics, transferred=demand.transfer
    )
    observer.relief = tiers.out_of_memory
    encoders = ThreadPoolExecutor(ENCODER_THREADS, thread_name_prefix="timbre-encoder")
    decoder = _build_decoder(settings.voices)
    results = build_results(
        engine.descriptor, registry, settings.result_cache, metrics, scope=settings.scope, lifecycle=lifecycle
    )
    services = _build_services(
        settings, engine, dispatcher, decoder, registry=registry, tiers=tiers, results=results, demand=demand
    )
    api = create_api(
        services,
        lifecycle=lifecycle,
        metrics=metrics,
        encoders=encoders,
        options=ApiOptions(
            max_upload_bytes=settings.voices.max_upload_bytes,
            access_log=settings.log.access,
            send_timeout_seconds=settings.http.send_timeout_seconds,
        ),
    )
    return Parts(
        api=api,
        engine_name=engine.descriptor.name,
        worker=worker,
        dispatcher=dispatcher,
        encoders=encoders,
        decoder=decoder,
        registry=registry,
        tiers=tiers,
        results=results,
        presence=None
        if results.cold_start is None or registry.readiness is None
        else Presence(lifecycle, registry.readiness),
        warm_up=_build_warm_up(settings, registry, tiers),
        preload=_build_preload(settings.voices, services.voices),
        warm_seconds=settings.voice_cache.warmup_deadline_seconds,
    )


def build_engine(settings: EngineSettings) -> Engine:
    """The engine that the settings name, not loaded.

    Raises:
        ConfigurationError: its package is not installed, or it has no such option.
    """
    module, _, name = _ENGINES[settings.name].partition(":")
    try:
        factory = getattr(importlib.import_module(module), name)
    except ImportError as error:
        raise ConfigurationError(
            f"the engine {settings.name} needs a package that is not installed ({error.name}); install Timbre with its extra"
            f" {settings.name}"
        ) from error
    engine: Engine = factory.from_options(settings.options)
    return engine


def _build_dispatcher(
    settings: Settings, worker: ThreadEngineWorker, metrics: Metrics, observer: QueueObserver
) -> BatchingDispatcher:
    descriptor, wanted = worker.descriptor, settings.batching.max_batch_size
    dispatcher = BatchingDispatcher(
        worker,
        limits=Limits(
            max_batch_size=min(wanted, descriptor.max_batch_size or wanted),
            max_batch_cost_seconds=settings.batching.max_batch_cost_seconds,
            max_queue_delay_seconds=settings.batching.max_queue_delay_seconds,
            max_cross_voice_batch=descriptor.max_cross_voice_batch,
            max_encode_batch=descriptor.max_encode_batch,
        ),
        max_pending_seconds=settings.batching.max_pending_seconds,
        observer=observer,
    )
    metrics.watch_queue(
        lambda: dispatcher.queued_requests,
        lambda: dispatcher.pending_requests,
        lambda: dispatcher.pending_work_seconds,
    )
    return dispatcher


def _build_decoder(settings: VoicesSettings) -> RecordingDecoder:
    limits = DecodeLimits(max_bytes=settings.max_upload_bytes, max_seconds=settings.max_reference_seconds)
    return RecordingDecoder(limits, max_children=settings.decoder_processes)


def _build_warm_up(settings: Settings, registry: Registry, tiers: FeatureTiers) -> WarmUp | None:
    """None for a server that runs alone: there is nothing to load that it does not have."""
    if registry.heat is None:
        return None
    cache = settings.voice_cache
    return WarmUp(
        store=registry.store,
        features=tiers.cache,
        heat=registry.heat,
        voices=cache.warmup_voices,
        listed=[VoiceName(DEFAULT_TENANT, voice_id) for voice_id in cache.warmup_list],
        deadline_seconds=cache.warmup_deadline_seconds,
    )


def _build_preload(settings: VoicesSettings, voices: VoiceService) -> Preload | None:
    """None where no voice is declared.  Raises: ConfigurationError: none could ever be found where they should be."""
    if settings.preload is None:
        return None
    return Preload(
        checked_place(settings.preload),
        voices,
        tenant=DEFAULT_TENANT,
        max_bytes=settings.max_upload_bytes,
        check_seconds=settings.preload_check_seconds,
    )


def _build_services(
    settings: Settings,
    engine: Engine,
    dispatcher: BatchingDispatcher,
    decoder: RecordingDecoder,
    *,
    registry: Registry,
    tiers: FeatureTiers,
    results: ResultPlaces,
    demand: Demand,
) -> Services:
    store, cache = registry.store, tiers.cache
    intake = RecordingIntake(decoder, min_voiced_seconds=engine.descriptor.min_voiced_seconds)
    require_consent = settings.voices.require_consent
    consents = ConsentService(
        store=store, intake=intake, verifier=LazySpeakerVerifier(), require_consent=require_consent, clock=time.time
    )
    voices = VoiceService(
        engine=engine,
        dispatcher=dispatcher,
        store=store,
        features=cache,
        erasure=_build_erasure(settings, registry, tiers, results),
        intake=intake,
        consents=consents,
        clock=time.time,
        demand=demand,
    )
    cold_start = results.cold_start
    casting = Casting(
        engine=engine,
        store=store,
        features=cache,
        intake=intake,
        heat=registry.heat,
        require_consent=require_consent,
        engine_loaded=lambda: cold_start is None or cold_start.is_over,
    )
    speech = SpeechService(
        engine=engine,
        dispatcher=dispatcher,
        casting=casting,
        max_input_chars=settings.speech.max_input_chars,
        demand=demand,
        waiting_budget=registry.request_budget,
    )
    cached = CachedSpeechService(
        speech=speech,
        casting=casting,
        results=results.cache,
        cold_start=cold_start,
        waiting_budget=registry.request_budget,
    )
    return Services(cached, voices, consents, ModelCatalogue(engine.descriptor), results.links)


def _build_erasure(settings: Settings, registry: Registry, tiers: FeatureTiers, results: ResultPlaces) -> Erasure:
    return Erasure(
        store=registry.store,
        features=tiers.cache,
        results=results.cache,
        fleet=registry.fleet,
        heat=registry.heat,
        clock=time.time,
        timeout_seconds=settings.freshness.erasure_timeout_seconds,
    )
