"""What the rows about the shared tier have in common: voices in a real Redis, our cache on them, and the two peers."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gc
import pickle  # noqa: TID251 - the named peer of these rows, on bytes that it made itself
import socket
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np
import redis.asyncio
import uvloop

from benchmarks.codec_row import SHAPES
from tests.redis_server import RedisServer
from timbre_contract.keys import ServiceKeys
from timbre_server.domain.pcm import Pcm
from timbre_server.domain.voice import Features, Reference
from timbre_server.ports import EngineDescriptor, FeatureName, Granted, TensorSpec
from timbre_server.settings import RedisSettings
from timbre_server.store.features import RedisSharedFeatures
from timbre_server.store.link import RedisLink
from timbre_server.telemetry.metrics import Metrics
from timbre_server.voicecache import (
    FeatureKeys,
    HostStorage,
    MemoryTiers,
    SharedTier,
    Tier,
    TieredFeatureCache,
    VoiceUse,
)
from timbre_server.voicecache.codec import encode

HOST_BYTES = 64 << 20
"""Room for all voices of a row."""

SILENCE = Reference(Pcm(np.zeros(24_000, np.float32), 24_000), "never extracted")


class NoEngine:
    """Every voice of these rows is in the shared tier."""

    async def extract(
        self,
        reference: Reference,
        *,
        begun: Callable[[], None] | None = None,  # noqa: ARG002 - the port's signature
    ) -> Features:
        raise AssertionError(f"{reference.digest} was to be extracted")


@dataclass
class SharedVoices:
    """Voices of one size in Redis: as Timbre stores them, and as the articles do."""

    size: str
    link: RedisLink
    shared: RedisSharedFeatures
    descriptor: EngineDescriptor
    library: redis.asyncio.Redis
    """As the library comes, for the articles' way."""

    def key(self, digest: str) -> str:
        return FeatureKeys(self.descriptor)(digest)

    def tier(self) -> SharedTier:
        return SharedTier(self.shared, self.descriptor, observer=Metrics(), room=HostStorage(HOST_BYTES).room)

    def cache(self) -> TieredFeatureCache:
        """A pod that holds nothing yet, and keeps what fits; the one before it has left no garbage to collect."""
        metrics = Metrics()
        gc.collect()
        storage = HostStorage(HOST_BYTES)
        host = Tier("host", storage, capacity_bytes=HOST_BYTES, observer=metrics)
        return TieredFeatureCache(
            self.descriptor,
            NoEngine(),
            memory=MemoryTiers(host),
            shared=SharedTier(self.shared, self.descriptor, observer=metrics, room=storage.room),
            use=VoiceUse(metrics),
            observer=metrics,
        )

    async def stored(self, digest: str) -> None:
        """Puts a voice into Redis in both ways."""
        features = self._features(digest)
        granted = await self.shared.claim(digest, self.key(digest))
        assert isinstance(granted, Granted)
        await self.shared.publish(digest, self.key(digest), encode(features, key=self.key(digest)), granted.token)
        await self.library.set(f"articles:{digest}", base64.b64encode(pickle.dumps(as_in_the_articles(features))))

    async def by_articles(self, digest: str) -> Features:
        """Repaired: as printed, the load fails on bytes."""
        stored = await self.library.get(f"articles:{digest}")
        assert stored is not None
        features: Features = pickle.loads(base64.b64decode(stored))
        return features

    async def gets(self) -> int:
        """How many values of hashes Redis was asked for so far."""
        stats = await self.library.info("commandstats")
        return int(stats.get("cmdstat_hget", {"calls": 0})["calls"])

    def name(self, digest: str) -> FeatureName:
        return FeatureName(digest)

    def _features(self, digest: str) -> Features:
        random = np.random.default_rng(len(digest) + sum(map(ord, digest)))
        return {name: random.standard_normal(shape, dtype=np.float32) for name, shape in SHAPES[self.size].items()}


def as_in_the_articles(features: Features) -> dict[str, Any]:
    """Tensors, where torch is installed; else arrays, which are pickled faster (a load of 130 KiB: 0.24 ms beside 0.34)."""
    if find_spec("torch") is None:
        return dict(features)
    import torch  # type: ignore[import-not-found,unused-ignore]  # noqa: PLC0415 - 5 GB that most do not have

    return {name: torch.from_numpy(array) for name, array in features.items()}


async def load_nothing() -> Reference:
    """The reference of a voice that must not be extracted."""
    return SILENCE


@contextlib.asynccontextmanager
async def shared_voices(server: RedisServer, size: str) -> AsyncIterator[SharedVoices]:
    """Time limits are wide: measured is what is fast, not what is given up."""
    link = RedisLink(RedisSettings(url=server.url, read_timeout_seconds=5, connect_timeout_seconds=5))
    keys = ServiceKeys(f"bench-{size.split(maxsplit=1)[0]}")
    shared = RedisSharedFeatures(link, keys, ttl_seconds=3600, lease_seconds=30, failure_ttl_seconds=5)
    spec = {name: TensorSpec("float32", shape) for name, shape in SHAPES[size].items()}
    descriptor = EngineDescriptor("bench", "model", "1", "encoder", "0", 24_000, spec, 13_000.0)
    library = redis.asyncio.Redis.from_url(server.url)
    try:
        yield SharedVoices(size, link, shared, descriptor, library)
    finally:
        await library.aclose()
        await shared.close()
        await link.close()


class HandReader:
    """The least that a value can cost: one blocking socket, one buffer that is there already, nothing checked."""

    def __init__(self, server: RedisServer) -> None:
        self._socket = socket.create_connection(("127.0.0.1", server.port))
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._buffer = memoryview(bytearray(8 << 20))

    def read(self, key: str, field: str) -> int:
        """Bytes of the value."""
        words = [b"HGET", key.encode(), field.encode()]
        self._socket.sendall(b"*3\r\n" + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words))
        got = self._socket.recv_into(self._buffer)
        line, _, _ = bytes(self._buffer[:32]).partition(b"\r\n")
        length = int(line[1:])
        while got < len(line) + 2 + length + 2:
            got += self._socket.recv_into(self._buffer[got:])
        return length

    def close(self) -> None:
        self._socket.close()


def on_the_servers_loop(scene: Callable[[RedisServer], Coroutine[Any, Any, Any]]) -> Any:
    """Runs a measurement on the event loop of the product, with a Redis of its own.

    What was imported is frozen: else a collection of garbage between rounds takes 40 ms, and leaves every cache cold.
    """
    as_in_the_articles({})  # imports what it needs
    gc.collect()
    gc.freeze()
    server = RedisServer()
    try:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            return runner.run(scene(server))
    finally:
        server.close()
