"""Which voices does everybody want just now?  Counted here for a few seconds, added up in Redis."""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import Sequence
from contextlib import suppress
from typing import Final

from timbre_contract.keys import ServiceKeys
from timbre_server.ending import end
from timbre_server.errors import Unavailable
from timbre_server.ports import VoiceName
from timbre_server.store.link import RedisLink
from timbre_server.store.lua_script import LuaScript

FLUSH_SECONDS: Final = 5.0
"""How old the counts of a pod that dies are at most; a call of a millisecond in 5 s costs nobody anything."""

MAX_VOICES: Final = 10_000
"""Voices with a popularity, here and in Redis (1.2 MB there): many times what any warm-up loads."""

HALF_LIVES: Final = 10
"""After so many without any use the popularity of the whole service is forgotten: a use then counts a thousandth."""

_FLUSH: Final = LuaScript("flush_heat")


class RedisHeat:
    """``Heat`` over Redis; lives on one event loop.  Between ``start`` and ``stop`` it flushes by itself."""

    def __init__(self, link: RedisLink, keys: ServiceKeys, *, half_life_seconds: float) -> None:
        self._link = link
        self._key = keys.heat()
        self._half_life_seconds = half_life_seconds
        self._uses: Counter[VoiceName] = Counter()
        self._cooled: set[VoiceName] = set()
        self._flushing: asyncio.Task[None] | None = None

    def used(self, name: VoiceName) -> None:
        if name in self._uses or len(self._uses) < MAX_VOICES:
            self._uses[name] += 1

    def cooled(self, name: VoiceName) -> None:
        self._uses.pop(name, None)
        if len(self._cooled) < MAX_VOICES:
            self._cooled.add(name)

    async def hottest(self, count: int) -> Sequence[VoiceName]:
        members: Sequence[bytes] = await self._link.read(lambda client: client.zrevrange(self._key, 0, count - 1))
        return [_name(member) for member in members]

    async def flush(self) -> None:
        """Adds what was counted since the last time; what could not be sent is counted on.

        A flush that timed out may have happened: those uses then count twice, which popularity can bear.

        Raises: StoreUnavailable, RegistryFull.
        """
        uses, self._uses = self._uses, Counter()
        cooled, self._cooled = self._cooled, set()
        if not uses and not cooled:
            return
        arguments: list[str | float] = [self._half_life_seconds, MAX_VOICES, self._life_seconds(), len(cooled)]
        arguments += [_member(name) for name in cooled]
        for name, count in uses.items():
            arguments += [_member(name), count]
        try:
            await self._link.write(lambda client: _FLUSH.run(client, [self._key], *arguments))
        except BaseException:
            self._count_on(uses, cooled)
            raise

    async def start(self) -> None:
        """Flushes every ``FLUSH_SECONDS`` from now on."""
        self._flushing = asyncio.create_task(self._keep_flushing(), name="heat")

    async def stop(self) -> None:
        """Flushes once more, and no more after that.  Idempotent."""
        if self._flushing is not None:
            await end([self._flushing])
            self._flushing = None
            with suppress(Unavailable):
                await self.flush()

    def _life_seconds(self) -> int:
        return math.ceil(HALF_LIVES * self._half_life_seconds)

    def _count_on(self, uses: Counter[VoiceName], cooled: set[VoiceName]) -> None:
        for name, count in uses.items():
            was_deleted = name in self._cooled and name not in cooled  # while they were on their way
            if not was_deleted and (name in self._uses or len(self._uses) < MAX_VOICES):
                self._uses[name] += count
        self._cooled |= cooled

    async def _keep_flushing(self) -> None:
        while True:
            await asyncio.sleep(FLUSH_SECONDS)
            with suppress(Unavailable):
                await self.flush()


def _member(name: VoiceName) -> str:
    return f"{name.tenant}/{name.voice_id}"


def _name(member: bytes) -> VoiceName:
    tenant, _, voice_id = member.decode().rpartition("/")
    return VoiceName(tenant, voice_id)
