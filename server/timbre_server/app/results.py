"""Where does this server keep finished speech?"""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

from timbre_server.app.registries import Registry
from timbre_server.errors import ConfigurationError
from timbre_server.ports import EngineDescriptor, ResultFiles, SharedResults
from timbre_server.resultcache import EnglishWords, ResultCache, ResultKeys, ResultMemory, SharedResultTier
from timbre_server.resultcache.link_sealing import LinkKeys
from timbre_server.resultcache.privacy import PrivateTexts
from timbre_server.resultcache.sealing import Sealer
from timbre_server.service.cold_start import ColdStart
from timbre_server.service.lifecycle import Lifecycle
from timbre_server.service.links import SpeechLinks
from timbre_server.settings import ResultCacheSettings
from timbre_server.store.lone_leases import LoneLeases
from timbre_server.store.objects import ObjectResults
from timbre_server.store.stored_results import StoredResults
from timbre_server.store.volume import VolumeResults
from timbre_server.telemetry.log import get_logger
from timbre_server.telemetry.metrics import Metrics
from timbre_server.voicecache.container_memory import container_memory, host_budget_bytes

_log = get_logger("results")

HOST: Final = "host"
"""The tier in this process' memory; the voice cache calls it so too."""


@dataclass(frozen=True)
class ResultPlaces:
    """The cache of finished speech of one server, if it has one."""

    cache: ResultCache | None = None
    memory: ResultMemory | None = None
    cold_start: ColdStart | None = None
    """How requests are answered before the engine is loaded; None: they are refused."""
    links: SpeechLinks | None = None
    """None: no answer carries a link to its speech."""

    def start(self) -> None:
        """Holds the budget in memory against the container's limit, now that the engine has taken its memory."""
        if self.cache is None or self.memory is None:
            return
        budget = host_budget_bytes(self.memory.capacity_bytes, container_memory())
        if budget < self.memory.capacity_bytes:
            fields = {"wanted_bytes": self.memory.capacity_bytes, "capacity_bytes": budget}
            _log.warning("the memory limit leaves less for finished speech than was set", extra={"fields": fields})
            self.memory.shrink(budget)
        self.cache.start()

    async def stop(self) -> None:
        """Publishes what was made, and ends what is being made.  Idempotent."""
        if self.cache is not None:
            await self.cache.close()

    def report(self) -> Mapping[str, object]:
        """What is held, for people."""
        return {} if self.cache is None else {"results": self.cache.report()}


def build_results(
    descriptor: EngineDescriptor,
    registry: Registry,
    settings: ResultCacheSettings,
    metrics: Metrics,
    *,
    scope: str,
    lifecycle: Lifecycle,
) -> ResultPlaces:
    """The cache as the settings want it, not started.

    Raises:
        ConfigurationError: a file of the settings cannot be used, or a package for them is not installed.
    """
    if not settings.enabled:
        return ResultPlaces()
    sealer = None if settings.key_file is None else Sealer.from_file(settings.key_file)
    patterns = settings.private_patterns_file
    memory = ResultMemory(capacity_bytes=settings.host_max_bytes, ttl_seconds=settings.ttl_seconds, clock=time.time)
    metrics.watch_results(HOST, lambda: memory.held_bytes)
    place = _shared_place(registry, scope, settings)
    shared = None
    if place is not None:
        shared = SharedResultTier(place, max_entry_bytes=settings.max_entry_bytes, sealer=sealer)
    keys = ResultKeys(
        descriptor,
        speed_tolerance_percent=settings.speed_tolerance_percent,
        secret=b"" if sealer is None else sealer.naming_secret,
        likeness=EnglishWords(descriptor.languages) if settings.similar_text else None,
    )
    cache = ResultCache(
        keys,
        memory,
        shared,
        max_entry_bytes=settings.max_entry_bytes,
        is_private=PrivateTexts() if patterns is None else PrivateTexts.from_file(patterns),
    )
    registry.on_retake(cache.replaced, lost=cache.replaced_unheard)
    answers_early = registry.readiness is not None and settings.cold_start_wait_seconds > 0
    cold_start = ColdStart(lifecycle, wait_seconds=settings.cold_start_wait_seconds) if answers_early else None
    return ResultPlaces(cache, memory, cold_start, _build_links(settings))


def _build_links(settings: ResultCacheSettings) -> SpeechLinks | None:
    if settings.link_keys_file is None:
        return None
    return SpeechLinks(LinkKeys.from_file(settings.link_keys_file), settings.link_seconds, time.time)


def _shared_place(registry: Registry, scope: str, settings: ResultCacheSettings) -> SharedResults | None:
    """Where pods share it; None for a server that runs alone and was given no place."""
    if settings.storage == "redis":
        return registry.results
    files: ResultFiles
    if settings.storage == "volume":
        if settings.volume_path is None:
            raise ConfigurationError("TIMBRE_RESULT_CACHE__STORAGE=volume needs TIMBRE_RESULT_CACHE__VOLUME_PATH")
        files = VolumeResults(
            settings.volume_path / scope, max_bytes=settings.volume_max_bytes, ttl_seconds=settings.ttl_seconds
        )
    else:
        files = ObjectResults(
            settings.object_url,
            scope=scope,
            ttl_seconds=settings.ttl_seconds,
            timeout_seconds=settings.object_timeout_seconds,
        )
    return StoredResults(files, LoneLeases() if registry.results is None else registry.results)
