"""What does this server know of voices: its own only, or those of all pods that share a Redis?"""

from __future__ import annotations

import secrets
import socket
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, nullcontext
from typing import Protocol

from timbre_contract.keys import ServiceKeys
from timbre_server.app.presence import Readiness
from timbre_server.ports import Fleet, Heat, SharedFeatures, SharedResults, VoiceStore
from timbre_server.settings import Settings
from timbre_server.store import AloneFleet, InMemoryVoiceStore
from timbre_server.store.features import WHISPER, RedisSharedFeatures
from timbre_server.store.heat import RedisHeat
from timbre_server.store.link import RedisLink
from timbre_server.store.readiness import RedisReadiness
from timbre_server.store.registry import RedisRegistry
from timbre_server.store.results import RETAKE, RedisSharedResults
from timbre_server.store.results import WHISPER as RESULT_WHISPER
from timbre_server.telemetry.metrics import Metrics


class Registry(Protocol):
    """The adapters behind the ports of the registry and the shared tier; lives on one event loop."""

    @property
    def store(self) -> VoiceStore: ...

    @property
    def fleet(self) -> Fleet: ...

    @property
    def shared(self) -> SharedFeatures | None:
        """None for a server that runs alone."""
        ...

    @property
    def results(self) -> SharedResults | None:
        """None for a server that runs alone."""
        ...

    def on_retake(self, listener: Callable[[str], None], *, lost: Callable[[], None]) -> None:
        """Calls ``listener`` with the key of speech of which a pod has published a new take, and ``lost`` after some of
        these calls may have been lost."""
        ...

    @property
    def readiness(self) -> Readiness | None:
        """None for a server that runs alone."""
        ...

    @property
    def heat(self) -> Heat | None: ...

    @property
    def request_budget(self) -> Callable[[], AbstractContextManager[object]]:
        """To be entered once per request: all its waits for Redis are bounded together."""
        ...

    async def start(self) -> None:
        """Begins to follow what others do.  Raises: ConfigurationError: this Redis cannot do what the settings ask."""
        ...

    async def stop(self) -> None:
        """Says goodbye.  Idempotent."""
        ...

    def report(self) -> Mapping[str, object]:
        """Its state, for people."""
        ...


def build_registry(settings: Settings, metrics: Metrics) -> Registry:
    """The registry that the settings name, not started.

    Raises:
        ConfigurationError: the address of Redis or a file of its settings cannot be used.
    """
    if settings.redis.url:
        return SharedRegistry(settings, metrics)
    return LoneRegistry(settings)


class LoneRegistry:
    """Everything in this process, and gone with it."""

    def __init__(self, settings: Settings) -> None:
        self.fleet = AloneFleet(pod_name(settings))
        self.store: VoiceStore = InMemoryVoiceStore(settings.voices.max_stored_bytes, self.fleet)
        self.shared: SharedFeatures | None = None
        self.results: SharedResults | None = None
        self.readiness: Readiness | None = None
        self.heat: Heat | None = None
        self.request_budget: Callable[[], AbstractContextManager[object]] = nullcontext

    def on_retake(self, listener: Callable[[str], None], *, lost: Callable[[], None]) -> None:
        pass

    async def start(self) -> None:
        pass

    async def stop(self) -> None:
        pass

    def report(self) -> Mapping[str, object]:
        return {"redis": None}


class SharedRegistry:
    """Voices, features and popularity in Redis, followed closely."""

    def __init__(self, settings: Settings, metrics: Metrics) -> None:
        cache = settings.voice_cache
        self._link = RedisLink(settings.redis)
        keys = ServiceKeys(settings.scope)
        self._pod = pod_name(settings)
        self._registry = RedisRegistry(self._link, keys, pod=self._pod, settings=settings, metrics=metrics)
        features = RedisSharedFeatures(
            self._link,
            keys,
            ttl_seconds=cache.shared_ttl_seconds,
            lease_seconds=cache.lease_seconds,
            failure_ttl_seconds=cache.failure_ttl_seconds,
        )
        self._registry.on_whisper(WHISPER, features.heard)
        kept = settings.result_cache
        results = RedisSharedResults(self._link, keys, ttl_seconds=kept.ttl_seconds, lease_seconds=kept.lease_seconds)
        for word in (RESULT_WHISPER, RETAKE):
            self._registry.on_whisper(word, results.heard)
        self._heat = RedisHeat(self._link, keys, half_life_seconds=cache.heat_half_life_seconds)
        self.store: VoiceStore = self._registry.store
        self.fleet: Fleet = self._registry.fleet
        self.shared: SharedFeatures | None = features
        self.results: SharedResults | None = results
        self.readiness: Readiness | None = RedisReadiness(self._link, keys, pod=self._pod)
        self.heat: Heat | None = self._heat
        self.request_budget: Callable[[], AbstractContextManager[object]] = self._link.request_budget
        metrics.watch_breaker(lambda: self._link.breaker_open)

    def on_retake(self, listener: Callable[[str], None], *, lost: Callable[[], None]) -> None:
        self._registry.on_whisper(RETAKE, listener)
        self._registry.after_whispers_lost(lost)

    async def start(self) -> None:
        await self._link.start()
        await self._registry.start()
        await self._heat.start()

    async def stop(self) -> None:
        await self._heat.stop()
        await self._registry.stop()
        await self._link.close()

    def report(self) -> Mapping[str, object]:
        return {
            "redis": {
                "pod": self._pod,
                "breaker_open": self._link.breaker_open,
                "change_log_healthy": self._registry.healthy,
                "degraded": self._registry.degraded,
                "takes_writes": self._registry.takes_writes,
            }
        }


def pod_name(settings: Settings) -> str:
    """As set; else the host's name with a random word, because two servers may share a host."""
    return settings.pod or f"{socket.gethostname()}-{secrets.token_hex(3)}"
