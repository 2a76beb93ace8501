"""Which adapter stands behind which port?  The only module that knows."""

from __future__ import annotations

import asyncio
import importlib
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Final

from starlette.types import ASGIApp

from timbre_server.api.application import ApiOptions, Services, create_api
from timbre_server.app.observers import QueueObserver
from timbre_server.audio.decoding import DecodeLimits, RecordingDecoder
from timbre_server.batching import BatchingDispatcher, Limits
from timbre_server.engine.speaker.lazy import LazySpeakerVerifier
from timbre_server.engine.worker import ThreadEngineWorker
from timbre_server.errors import ConfigurationError
from timbre_server.ports import Engine
from timbre_server.service.casting import Casting
from timbre_server.service.catalogue import ModelCatalogue
from timbre_server.service.consents import ConsentService
from timbre_server.service.erasure import Erasure
from timbre_server.service.lifecycle import Lifecycle
from timbre_server.service.recordings import RecordingIntake
from timbre_server.service.speech import SpeechService
from timbre_server.service.voices import VoiceService
from timbre_server.settings import EngineSettings, Settings, VoicesSettings
from timbre_server.store import AloneFleet, InMemoryVoiceStore
from timbre_server.telemetry.metrics import Metrics
from timbre_server.voicecache import HostFeatureCache

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

    async def start(self) -> None:
        """Loads the engine, and sees meanwhile whether recordings can be decoded here.

        Raises:
            ConfigurationError: one of them can never work here.
            EngineError: the engine failed to start.
        """
        async with asyncio.TaskGroup() as starting:
            starting.create_task(self.worker.start())
            starting.create_task(self.decoder.check_ready())
        await self.dispatcher.start()

    def health(self) -> str | None:
        """None while all is well, else why only a restart helps."""
        return self.dispatcher.health()

    async def stop(self) -> None:
        """Ends everything that runs.  Idempotent."""
        await self.dispatcher.stop()
        await self.worker.stop()
        self.encoders.shutdown(wait=False, cancel_futures=True)


def wire(settings: Settings, lifecycle: Lifecycle, metrics: Metrics) -> Parts:
    """The whole server.

    Raises:
        ConfigurationError: the engine cannot be made from these settings.
    """
    engine = build_engine(settings.engine)
    worker = ThreadEngineWorker(engine)
    dispatcher = _build_dispatcher(settings, worker, metrics)
    encoders = ThreadPoolExecutor(ENCODER_THREADS, thread_name_prefix="timbre-encoder")
    decoder = _build_decoder(settings.voices)
    services = _build_services(settings, engine, dispatcher, decoder, metrics)
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
    return Parts(api, engine.descriptor.name, worker, dispatcher, encoders, decoder)


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
            f"the engine {settings.name} needs a package that is not installed ({error.name}); install timbre[{settings.name}]"
        ) from error
    engine: Engine = factory.from_options(settings.options)
    return engine


def _build_dispatcher(settings: Settings, worker: ThreadEngineWorker, metrics: Metrics) -> BatchingDispatcher:
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
        observer=QueueObserver(metrics),
    )
    metrics.watch_queue(lambda: dispatcher.pending_requests, lambda: dispatcher.pending_work_seconds)
    return dispatcher


def _build_decoder(settings: VoicesSettings) -> RecordingDecoder:
    limits = DecodeLimits(max_bytes=settings.max_upload_bytes, max_seconds=settings.max_reference_seconds)
    return RecordingDecoder(limits, max_children=settings.decoder_processes)


def _build_services(
    settings: Settings, engine: Engine, dispatcher: BatchingDispatcher, decoder: RecordingDecoder, metrics: Metrics
) -> Services:
    fleet = AloneFleet(settings.pod or "alone")
    store = InMemoryVoiceStore(settings.voices.max_stored_bytes, fleet)
    cache = HostFeatureCache(
        engine.descriptor, dispatcher, max_bytes=settings.voice_cache.host_max_bytes, observer=metrics
    )
    metrics.watch_voice_cache("host", lambda: cache.held_bytes, lambda: settings.voice_cache.host_max_bytes)
    intake = RecordingIntake(decoder, min_voiced_seconds=engine.descriptor.min_voiced_seconds)
    require_consent = settings.voices.require_consent
    consents = ConsentService(
        store=store, intake=intake, verifier=LazySpeakerVerifier(), require_consent=require_consent, clock=time.time
    )
    erasure = Erasure(
        store=store,
        features=cache,
        fleet=fleet,
        clock=time.time,
        timeout_seconds=settings.freshness.erasure_timeout_seconds,
    )
    voices = VoiceService(
        engine=engine,
        dispatcher=dispatcher,
        store=store,
        features=cache,
        erasure=erasure,
        intake=intake,
        consents=consents,
        clock=time.time,
    )
    casting = Casting(engine=engine, store=store, features=cache, intake=intake, require_consent=require_consent)
    speech = SpeechService(
        engine=engine, dispatcher=dispatcher, casting=casting, max_input_chars=settings.speech.max_input_chars
    )
    return Services(speech, voices, consents, ModelCatalogue(engine.descriptor))
