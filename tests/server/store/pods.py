"""Pods of one scope over a real Redis, and what tests do to them."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, TypeVar

import redis

from tests.redis_server import RedisServer
from tests.server.store.registries import UNHURRIED
from timbre_contract.keys import ServiceKeys
from timbre_server.domain.voice import VoiceRecord
from timbre_server.ports import VoiceName
from timbre_server.settings import FreshnessSettings, RedisSettings, Settings, VoicesSettings
from timbre_server.store.link import RedisLink
from timbre_server.store.redis_voices import RedisVoiceStore
from timbre_server.store.registry import SWEEP_SECONDS, RedisRegistry
from timbre_server.telemetry.metrics import Metrics

T = TypeVar("T")

PATIENCE_SECONDS = 10.0
"""How long a test waits for what must happen."""

GRACE_SECONDS = 0.2
"""For a voice that another pod may still publish again; short, so that tests are."""

ADA = VoiceName("default", "voice_ada")
GRACE = VoiceName("default", "voice_grace")


def a_voice(name: VoiceName = ADA, digest: str = "first") -> VoiceRecord:
    return VoiceRecord(name.voice_id, name.tenant, "Ada", 1, digest, created_at=100, updated_at=100)


class Pod:
    """A registry, its link and its metrics."""

    max_recording_bytes = 1 << 20

    def __init__(
        self,
        server: RedisServer | RedisSettings,
        scope: str,
        name: str = "pod-1",
        *,
        freshness: FreshnessSettings | None = None,
        hurried: bool = False,
        sweep_seconds: float = SWEEP_SECONDS,
    ) -> None:
        """``hurried``: with the default timeouts, for tests of how fast Redis is given up."""
        way = server if isinstance(server, RedisSettings) else RedisSettings(url=server.url)
        settings = Settings(
            redis=way if hurried else way.model_copy(update=UNHURRIED),
            freshness=freshness or FreshnessSettings(),
            voices=VoicesSettings(max_stored_bytes=self.max_recording_bytes),
        )
        self.name = name
        self.keys = ServiceKeys(scope)
        self.metrics = Metrics()
        self.link = RedisLink(settings.redis)
        self.registry = RedisRegistry(
            self.link,
            self.keys,
            pod=name,
            settings=settings,
            metrics=self.metrics,
            grace_seconds=GRACE_SECONDS,
            sweep_seconds=sweep_seconds,
        )
        self.store, self.fleet, self.follower = self.registry.store, self.registry.fleet, self.registry.follower

    def patience(self) -> asyncio.Timeout:
        """Within which a test waits."""
        return asyncio.timeout(PATIENCE_SECONDS)

    async def until(self, claim: Callable[[], bool]) -> None:
        """Returns when the claim holds; asks whenever the follower has had news, an error or a quiet 100 ms."""
        async with self.patience():
            while not claim():
                await self.follower.turn()

    async def healthy(self) -> None:
        await self.until(lambda: self.registry.healthy)

    async def knows(self, *names: VoiceName) -> None:
        """Uses voices, and waits until their recordings are held as well."""
        for name in names:
            await self.store.voice(*name)
        await self.store.recordings_fetched()

    def counted(self, metric: str) -> float:
        return self.metrics.registry.get_sample_value(metric) or 0.0


@contextlib.asynccontextmanager
async def running(*pods: Pod) -> AsyncIterator[None]:
    """Starts the pods, and goes on when all are healthy."""
    try:
        for pod in pods:
            await pod.link.start()
            await pod.registry.start()
        for pod in pods:
            await pod.healthy()
        yield
    finally:
        for pod in pods:
            await pod.registry.stop()
            await pod.link.close()


def elsewhere(server: RedisServer, scope: str, work: Callable[[RedisVoiceStore], Awaitable[T]]) -> T:
    """Another pod writes while this loop stands still: whatever follows here begins after the write."""
    results: list[T] = []

    async def write() -> None:
        link = RedisLink(RedisSettings(url=server.url).model_copy(update=UNHURRIED))
        await link.start()
        try:
            results.append(await work(RedisVoiceStore(link, ServiceKeys(scope))))
        finally:
            await link.close()

    thread = threading.Thread(target=lambda: asyncio.run(write()))
    thread.start()
    thread.join()
    return results[0]


def by_hand(server: RedisServer) -> Any:
    """A plain client, to do what no pod does; it blocks this loop.  The library types its answers for both kinds of loop."""
    return redis.Redis(port=server.port)


def cut_followers(client: Any) -> int:
    """Kills the connections that follow logs or listen to channels; how many there were."""
    following = [known for known in client.client_list() if known["cmd"] in {"xread", "subscribe"}]
    for connection in following:
        client.client_kill_filter(_id=connection["id"])
    return len(following)
