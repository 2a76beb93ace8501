"""A Lease that lies in memory, and operators that want it."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from typing import Any

from timbre_operator.cluster.lease import Lease
from timbre_operator.errors import Conflict, Unavailable


class LeaseInMemory:
    """Kept as the API server keeps it: every change has a new version, and one of an old version is refused.

    A change that was sent is made, also where nobody waits for the answer any more.
    """

    def __init__(self) -> None:
        self.lease: dict[str, Any] | None = None
        self.away = False
        """Whether nobody answers."""
        self.hangs = False
        """Whether requests wait for an answer that never comes."""
        self.loses_answers = False
        """Whether changes are made and nobody hears of it."""
        self.seconds = 0.01
        """How long a request takes."""
        self._sent: set[asyncio.Task[Mapping[str, Any]]] = set()
        self.writes = 0

    async def read(self) -> Mapping[str, Any] | None:
        await self._reached()
        return self.lease

    async def create(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        await self._reached()
        if self.lease is not None:
            raise Conflict("it is there")
        return self._store(spec)

    async def replace(self, found: Mapping[str, Any], spec: Mapping[str, Any]) -> Mapping[str, Any]:
        change = asyncio.create_task(self._replace(found, spec))
        self._sent.add(change)  # the loop holds tasks weakly
        change.add_done_callback(self._sent.discard)
        return await asyncio.shield(change)

    @property
    def holder(self) -> str:
        assert self.lease is not None
        return str(self.lease["spec"]["holderIdentity"])

    async def _replace(self, found: Mapping[str, Any], spec: Mapping[str, Any]) -> Mapping[str, Any]:
        await self._reached()
        assert self.lease is not None
        if found["metadata"]["resourceVersion"] != self.lease["metadata"]["resourceVersion"]:
            raise Conflict("it changed")
        stored = self._store(spec)
        if self.loses_answers:
            raise Unavailable("the connection broke")
        return stored

    async def _reached(self) -> None:
        if self.hangs:
            await asyncio.Event().wait()
        await asyncio.sleep(self.seconds)
        if self.away:
            raise Unavailable("nobody answers")

    def _store(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        self.writes += 1
        self.lease = {"metadata": {"resourceVersion": str(self.writes)}, "spec": dict(spec)}
        return self.lease


def a_candidate(store: LeaseInMemory, identity: str, *, chance: float = 0.0) -> Lease:
    """One that lives in virtual time."""
    return Lease(store, identity, clock=asyncio.get_running_loop().time, chance=lambda: chance)
