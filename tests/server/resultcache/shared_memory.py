"""The place that pods share, in the memory of a test."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field

from timbre_server.errors import StoreUnavailable
from timbre_server.ports import Blob, Granted, Held, ResultName, Standing, Taken


@dataclass
class _Lease:
    token: str
    ends_at: float
    awaited: bool = False


@dataclass
class World:
    """What all pods see."""

    blobs: dict[ResultName, bytes] = field(default_factory=dict)
    leases: dict[ResultName, _Lease] = field(default_factory=dict)
    news: asyncio.Event = field(default_factory=asyncio.Event)
    calls: list[str] = field(default_factory=list)
    retaken: list[ResultName] = field(default_factory=list)
    """Of what it was said that there is a new take."""
    away: bool = False
    full: bool = False
    """Nothing is stored; what needs no room works."""
    answers_after_seconds: float = 0.0
    """What a look finds, what becomes of a lease, and what is published is on its way so long."""

    async def until(self, claim: Callable[[], bool]) -> None:
        """Returns when that is so; asked after each end of a claim."""
        while not claim():
            await self.news.wait()

    def called(self, call: str) -> None:
        """A pod asks for something, and learns whether anybody is there."""
        self.calls.append(call)
        if self.away:
            raise StoreUnavailable("away")


class SharedMemory:
    """``SharedResults`` of one pod."""

    def __init__(self, world: World, *, lease_seconds: float = 30.0) -> None:
        self._world = world
        self._lease_seconds = lease_seconds

    async def get(self, name: ResultName) -> Blob | None:
        self._world.called("get")
        blob = self._world.blobs.get(_place(name))
        await asyncio.sleep(self._world.answers_after_seconds)  # a round trip
        return blob

    async def claim(self, name: ResultName) -> Held | Granted | Taken:
        self._world.called("claim")
        if blob := self._world.blobs.get(_place(name)):
            return Held(blob)
        if lease := self._lease(name):
            lease.awaited = True
            return Taken(lease.ends_at - self._now())
        token = secrets.token_hex(8)
        self._world.leases[name] = _Lease(token, self._now() + self._lease_seconds)
        return Granted(token, self._lease_seconds)

    async def renew(self, name: ResultName, token: str) -> Standing:
        self._world.called("renew")
        await asyncio.sleep(self._world.answers_after_seconds)
        lease = self._lease(name)
        if lease is None or lease.token != token:
            return Standing.LOST
        lease.ends_at = self._now() + self._lease_seconds
        return Standing.AWAITED if lease.awaited else Standing.OURS

    async def publish(self, name: ResultName, blob: bytes, token: str | None) -> bool:
        self._world.called("publish")
        if self._world.full:
            raise StoreUnavailable("full")
        if self._world.answers_after_seconds:
            await asyncio.sleep(self._world.answers_after_seconds)
        if token is not None and not self._end(name, token):
            return False
        self._world.blobs[_place(name)] = blob
        if token is None:
            self._world.retaken.append(name)
        self._wake()
        return True

    async def abandon(self, name: ResultName, token: str) -> bool:
        self._world.called("abandon")
        return self._end(name, token)

    async def retaken(self, name: ResultName) -> None:
        self._world.called("retaken")
        self._world.retaken.append(name)

    async def news(self, name: ResultName, *, timeout_seconds: float) -> None:
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._world.news.wait()
        except TimeoutError:
            pass

    async def erase(self, digest: str) -> int:
        self._world.called("erase")
        gone = [name for name in self._world.blobs if name.digest == digest]
        for name in gone:
            del self._world.blobs[name]
        for name in [name for name in self._world.leases if name.digest == digest]:
            del self._world.leases[name]
        return len(gone)

    async def close(self) -> None:
        pass

    def _lease(self, name: ResultName) -> _Lease | None:
        lease = self._world.leases.get(name)
        return lease if lease is not None and lease.ends_at > self._now() else None

    def _end(self, name: ResultName, token: str) -> bool:
        lease = self._lease(name)
        if lease is None or lease.token != token:
            return False
        del self._world.leases[name]
        self._wake()
        return True

    def _wake(self) -> None:
        self._world.news.set()
        self._world.news.clear()

    def _now(self) -> float:
        return asyncio.get_running_loop().time()


def _place(name: ResultName) -> ResultName:
    """Where its blob lies, which its likeness does not decide."""
    return ResultName(name.key, name.digest)
