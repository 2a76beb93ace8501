"""What have the other pods said, may this one say it, and what if the place that they share cannot tell?

Nothing here fails because that place is away or holds nonsense: then a pod goes on alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine
from contextlib import suppress
from contextvars import Context
from typing import Final, NamedTuple

from timbre_server.errors import StoreUnavailable
from timbre_server.ports import Blob, Granted, Held, ResultName, SharedResults, Taken
from timbre_server.resultcache.codec import (
    CorruptResult,
    decode,
    decode_signpost,
    encode,
    encode_signpost,
    encode_too_long,
)
from timbre_server.resultcache.sealing import OVERHEAD_BYTES, Sealer
from timbre_server.resultcache.synthesis_lease import SynthesisLease
from timbre_server.resultcache.takes import Found, KeptTake, TooLong

POLL_SECONDS: Final = 0.2
"""How often a pod that waits for another one looks by itself, in case that the whisper was lost: pub/sub promises nothing.
A claim takes 0.1 ms of Redis, so 100 waiting pods cost it 5 % of a core."""

PATIENCE_SECONDS: Final = 60.0
"""How long a pod waits for one that says that it speaks, then it speaks itself.  What may be shared is at most 90 s of
speech by default, which an engine makes in less than its playing time, or nobody could listen to it as it comes."""


class _Seen(NamedTuple):
    """What a look has shown."""

    found: KeptTake | TooLong | None


class SharedResultTier:
    """Speech that pods share, with its codec and its leases; lives on one event loop."""

    def __init__(self, shared: SharedResults, *, max_entry_bytes: int, sealer: Sealer | None = None) -> None:
        """With a ``sealer`` nothing is written that others could read, and nothing read that it has not sealed."""
        self._shared = shared
        self._sealer = sealer
        self._max_entry_bytes = max_entry_bytes
        self._publishing: dict[asyncio.Task[None], str] = {}
        """With the digest of the recording that speaks."""
        self._looks: dict[str, asyncio.Future[_Seen | None]] = {}
        """Under way, by key; None comes of those whose caller has left: then the others look themselves."""

    @property
    def overhead_bytes(self) -> int:
        """By how much an entry is longer here than what was encoded."""
        return 0 if self._sealer is None else OVERHEAD_BYTES

    async def fetch(self, name: ResultName) -> KeptTake | TooLong | None:
        """What is there; None where nothing sound is, or nobody can tell.  Callers at one time share one look."""
        look = self._looks.get(name.key)
        if look is not None and (seen := await asyncio.shield(look)) is not None:
            return seen.found
        look = self._looks[name.key] = asyncio.get_running_loop().create_future()
        try:
            seen = _Seen(await self._look(name))
        except BaseException:
            look.set_result(None)
            raise
        finally:
            if self._looks.get(name.key) is look:
                del self._looks[name.key]
        look.set_result(seen)
        return seen.found

    def look_anew(self) -> None:
        """Nobody who comes from now on shares a look that is under way: it may bring what was replaced or erased since."""
        self._looks.clear()

    async def _look(self, name: ResultName) -> KeptTake | TooLong | None:
        with suppress(StoreUnavailable):
            blob = await self._shared.get(name)
            if blob is not None:
                return self._decoded(name, blob)
        return None

    async def alike(self, name: ResultName) -> ResultName | None:
        """Under what speech of a text is kept that is like that one; None where nobody can tell."""
        signpost = _signpost_of(name)
        with suppress(StoreUnavailable, CorruptResult):
            blob = await self._shared.get(signpost)
            if blob is not None:
                return name._replace(key=decode_signpost(self._opened(signpost, blob), key=signpost.key))
        return None

    async def obtain(self, name: ResultName) -> Found | TooLong | SynthesisLease | None:
        """The speech as soon as any pod has made it, or the right to make it; None: make it without."""
        loop = asyncio.get_running_loop()
        give_up_at = loop.time() + PATIENCE_SECONDS
        awaited = False
        with suppress(StoreUnavailable):
            while loop.time() < give_up_at:
                match await self._shared.claim(name):
                    case Held(blob):
                        found = self._decoded(name, blob)  # a damaged one is replaced, without a lease
                        return Found(found, awaited) if isinstance(found, KeptTake) else found
                    case Granted() as granted:
                        return SynthesisLease(self._shared, name, granted)
                    case Taken(expires_seconds):
                        awaited = True
                        await self._shared.news(name, timeout_seconds=min(expires_seconds, POLL_SECONDS))
        return None

    def hand_over(
        self, name: ResultName, take: KeptTake, lease: SynthesisLease | None, wanted: Callable[[], bool]
    ) -> None:
        """Publishes in the background what was made, if it still is wanted when its turn has come.

        It is encoded on the loop: 150 KB take 4 us, the 4 MiB that an entry has at most by default 0.12 ms.
        """
        self._publish(name, lambda: self._sealed(name, encode(name.key, take)), lease, wanted)

    def give_up(self, name: ResultName, lease: SynthesisLease | None, wanted: Callable[[], bool]) -> None:
        """Tells all pods in the background that this speech is too long to wait for, and ends the lease."""
        mark = TooLong(self._max_entry_bytes)
        self._publish(name, lambda: self._sealed(name, encode_too_long(name.key, mark)), lease, wanted)

    def point_to(self, name: ResultName, wanted: Callable[[], bool]) -> None:
        """Tells all pods in the background under what speech is kept that other texts may share."""
        signpost = _signpost_of(name)
        self._publish(signpost, lambda: self._sealed(signpost, encode_signpost(signpost.key, name.key)), None, wanted)

    async def erase(self, digest: str) -> int:
        """How many were removed; what is being published by this pod is waited for.  Raises: StoreUnavailable."""
        if tasks := [task for task, of in self._publishing.items() if of == digest]:
            await asyncio.wait(tasks)
        return await self._shared.erase(digest)

    async def close(self) -> None:
        """Returns when everything is published that shall be.  Idempotent."""
        if self._publishing:
            await asyncio.wait(self._publishing)
        await self._shared.close()

    def _publish(
        self,
        name: ResultName,
        encoded: Callable[[], bytes],
        lease: SynthesisLease | None,
        wanted: Callable[[], bool],
    ) -> None:
        publishing = self._replace(name, encoded, wanted) if lease is None else lease.hand_over(encoded, wanted)
        self._run(publishing, name)

    async def _replace(self, name: ResultName, encoded: Callable[[], bytes], wanted: Callable[[], bool]) -> None:
        if wanted():
            with suppress(StoreUnavailable):
                await self._shared.publish(name, encoded(), None)

    def _run(self, publishing: Coroutine[None, None, None], name: ResultName) -> None:
        task = asyncio.create_task(publishing, name=f"publish-{name.key[:8]}", context=Context())
        self._publishing[task] = name.digest
        task.add_done_callback(self._publishing.pop)

    def _sealed(self, name: ResultName, blob: bytes) -> bytes:
        return blob if self._sealer is None else self._sealer.seal(name.key, blob)

    def _opened(self, name: ResultName, blob: Blob) -> Blob:
        return blob if self._sealer is None else self._sealer.open(name.key, blob)

    def _decoded(self, name: ResultName, blob: Blob) -> KeptTake | TooLong | None:
        try:
            found = decode(self._opened(name, blob), key=name.key)
        except CorruptResult:
            return None
        if isinstance(found, TooLong) and found.limit_bytes < self._max_entry_bytes:
            return None  # written by a pod that may keep less
        return found


def _signpost_of(name: ResultName) -> ResultName:
    """Where it lies: with the recording too, so that an erasure finds it."""
    return ResultName(name.likeness, name.digest)
