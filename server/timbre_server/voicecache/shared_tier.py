"""What do the other pods have, may this one extract, and what if Redis cannot say?

Nothing here fails because the shared tier is away or holds nonsense: then a pod goes on alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator
from contextlib import suppress
from contextvars import Context
from typing import Final, Protocol

from timbre_server.domain.voice import Features, feature_bytes
from timbre_server.errors import AudioRejected, ExtractionFailed, StoreUnavailable, TimbreError
from timbre_server.ports import Blob, EngineDescriptor, Failed, Granted, Held, Room, SharedFeatures, Taken
from timbre_server.voicecache.codec import CorruptFeatures, decode, encode
from timbre_server.voicecache.economy import Economy
from timbre_server.voicecache.extraction_lease import ExtractionLease
from timbre_server.voicecache.leases import Lease

TIER: Final = "redis"

POLL_SECONDS: Final = 0.2
"""How often a pod that waits for another one looks by itself, in case that the whisper was lost: pub/sub promises nothing.
A claim takes 0.1 ms of Redis, so 100 waiting pods cost it 5 % of a core."""

PATIENCE_SECONDS: Final = 60.0
"""How long a pod waits for one that says that it extracts: 20 times what the slowest engine that we know takes (2.8 s),
then it extracts itself."""

CORRUPT_TRIES: Final = 2
"""After so many broken blobs in one look-up somebody keeps writing them, and this pod does without."""


class TierObserver(Protocol):
    """What the tier tells of itself."""

    def watch_voice_lookups(self, tier: str, hits: Callable[[], int], misses: Callable[[], int]) -> None: ...


def _untold(_seconds: float) -> None:
    pass


class SharedTier:
    """The shared tier with its codec, its economy and its leases; lives on one event loop."""

    def __init__(
        self,
        shared: SharedFeatures,
        descriptor: EngineDescriptor,
        *,
        observer: TierObserver,
        transferred: Callable[[float], None] = _untold,
        room: Room | None = None,
        float16: bool = False,
    ) -> None:
        """``room``: where voices are received, so that the host's tier can keep them there.

        ``transferred`` is told with each voice that comes how long that should take, by what others took.

        ``float16``: 32-bit features are stored in 16 bits, which is not exact.
        """
        self._room = room
        self._transferred = transferred
        self._shared = shared
        self._spec = descriptor.feature_spec
        self._float16 = float16
        self._handing_over: set[asyncio.Task[None]] = set()
        self.economy = Economy()
        self.hits = 0
        self.misses = 0
        observer.watch_voice_lookups(TIER, lambda: self.hits, lambda: self.misses)

    async def fetch(self, digest: str, key: str) -> Features | None:
        """What the tier has; None where it has nothing sound, or cannot be reached."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        try:
            blob = await self._shared.get(digest, key, room=self._room)
            features = None if blob is None else await self._decoded(digest, key, blob)
        except StoreUnavailable:
            return None
        if features is None:
            self.misses += 1
            return None
        self.hits += 1
        size_bytes = feature_bytes(features)
        self.economy.fetched(size_bytes, loop.time() - began)
        self._came(size_bytes)
        return features

    async def fetch_many(
        self, wanted: Iterable[tuple[str, str]], arrived: Callable[[str, str, Features], None]
    ) -> None:
        """Tells of what the tier has of (digest, key) pairs, each as it arrives: all come in one round trip.

        ``wanted`` and ``arrived`` are as ``SharedFeatures.get_many`` wants them.  Raises: StoreUnavailable.
        """
        asked: list[tuple[str, str]] = []
        corrupt: set[str] = set()

        def asking() -> Iterator[tuple[str, str]]:
            for pair in wanted:
                asked.append(pair)
                yield pair

        def decoded(place: int, blob: Blob) -> None:
            digest, key = asked[place]
            try:
                features = decode(blob, key=key, spec=self._spec)
            except CorruptFeatures:
                corrupt.add(digest)
            else:
                arrived(digest, key, features)

        await self._shared.get_many(asking(), arrived=decoded, room=self._room)
        for digest in corrupt:
            await self._shared.erase(digest)

    async def obtain(self, digest: str, key: str) -> Features | ExtractionLease | None:
        """The features as soon as any pod has them, or the right to extract them; None: extract without it.

        Raises:
            AudioRejected, ExtractionFailed: the extraction failed a moment ago.
        """
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + PATIENCE_SECONDS
        corrupt = 0
        with suppress(StoreUnavailable):
            while loop.time() < give_up_at and corrupt < CORRUPT_TRIES:
                match await self._shared.claim(digest, key):
                    case Held(blob):
                        features = await self._decoded(digest, key, blob)
                        if features is not None:
                            self._came(feature_bytes(features))
                            return features
                        corrupt += 1
                    case Granted() as granted:
                        return ExtractionLease(self._shared, digest, key, granted)
                    case Failed() as failed:
                        raise _error_from(failed)
                    case Taken(expires_seconds):
                        await self._shared.news(digest, timeout_seconds=min(expires_seconds, POLL_SECONDS))
        return None

    def hand_over(self, lease: ExtractionLease, key: str, features: Features, wanted: Callable[[], bool]) -> None:
        """Publishes in the background what was extracted, if it still is wanted when it is encoded."""
        self._publish(lease.hand_over(lambda: encode(features, key=key, float16=self._float16), wanted), key)

    def share(self, held: Lease, digest: str, key: str, wanted: Callable[[], bool]) -> None:
        """Publishes in the background what a tier holds, unless another pod does or did; releases ``held``."""
        self._publish(self._shared_once(held, digest, key, wanted), key)

    def _publish(self, publishing: Coroutine[None, None, None], key: str) -> None:
        # In a context of its own: whichever request set it off, it works for no request and spends no one's budget.
        task = asyncio.create_task(publishing, name=f"publish-{key[:8]}", context=Context())
        self._handing_over.add(task)
        task.add_done_callback(self._handing_over.discard)

    async def _shared_once(self, held: Lease, digest: str, key: str, wanted: Callable[[], bool]) -> None:
        try:
            with suppress(StoreUnavailable):
                claim = await self._shared.claim(digest, key)
                if isinstance(claim, Granted):
                    lease = ExtractionLease(self._shared, digest, key, claim)
                    await lease.hand_over(lambda: encode(held.features, key=key, float16=self._float16), wanted)
        finally:
            held.release()

    async def erase(self, digest: str) -> int:
        """How many entries were removed.  Raises: StoreUnavailable."""
        return await self._shared.erase(digest)

    async def close(self) -> None:
        """Returns when everything is published that shall be.  Idempotent."""
        if self._handing_over:
            await asyncio.wait(self._handing_over)
        await self._shared.close()

    def _came(self, size_bytes: int) -> None:
        self._transferred(size_bytes * self.economy.fetch_seconds_per_byte)

    async def _decoded(self, digest: str, key: str, blob: Blob) -> Features | None:
        try:
            return decode(blob, key=key, spec=self._spec)
        except CorruptFeatures:
            await self._shared.erase(digest)
            return None


def _rejections() -> list[type[AudioRejected]]:
    return [AudioRejected, *AudioRejected.__subclasses__()]


_REJECTIONS: Final = {kind.code: kind for kind in _rejections()}


def _error_from(failed: Failed) -> TimbreError:
    """The error as the pod had it that tried."""
    return _REJECTIONS.get(failed.code, ExtractionFailed)(failed.message)
