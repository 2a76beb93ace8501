"""How do pods show each other that they live, and what does Redis' clock say?"""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Final

from timbre_contract.keys import ServiceKeys
from timbre_server.errors import StoreUnavailable
from timbre_server.store.link import Client, RedisLink
from timbre_server.store.log_format import MAX_ENTRIES
from timbre_server.store.lua_script import LuaScript
from timbre_server.store.positions import EntryId
from timbre_server.store.refusals import takes_no_writes, words_of

PERIOD_SECONDS: Final = 0.2
"""How often each pod beats (the design's 200 ms)."""

QUIET_MILLISECONDS: Final = 180
"""A beat appends an entry if the last one is older: a little less than the period, so that one pod alone appends each time."""

FORGOTTEN_MILLISECONDS: Final = 24 * 3600 * 1000
"""A pod that was silent for a day leaves the list; until then a deletion can name it as expired."""

_SAMPLES: Final = 64
"""Round trips among which the quickest tells Redis' clock best: 13 s of beats, in which a clock drifts by under 1 ms
(at the 50 parts per million of a poor quartz)."""


_BEAT: Final = LuaScript("beat")
_LOOK: Final = LuaScript("look")

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Beat:
    """What Redis answered."""

    epoch: str | None
    """None = Redis was emptied, or has never held this service."""
    before: EntryId
    """The last entry when the beat arrived."""
    after: EntryId
    """The last entry when it left."""


class RedisClock:
    """Redis' clock, seen from here."""

    def __init__(self) -> None:
        self._offsets: deque[tuple[float, float]] = deque(maxlen=_SAMPLES)
        self._offset_seconds = 0.0

    @property
    def known(self) -> bool:
        """Whether Redis ever told."""
        return bool(self._offsets)

    def told(self, redis_seconds: float, *, sent_at: float, received_at: float) -> None:
        """Redis said so at some moment between these two of our own clock."""
        middle = (sent_at + received_at) / 2
        self._offsets.append((received_at - sent_at, redis_seconds - middle))
        self._offset_seconds = min(self._offsets)[1]

    def at(self, own_seconds: float) -> float:
        """What Redis' clock shows at a moment of our own, in Unix seconds."""
        return own_seconds + self._offset_seconds


class Heart:
    """Beats for one pod, over the link that requests use: so it also finds out first that Redis is away."""

    def __init__(self, link: RedisLink, keys: ServiceKeys, *, pod: str, clock: Callable[[], float]) -> None:
        """``clock`` is monotonic, in seconds."""
        self._link = link
        self._keys = keys
        self._pod = pod
        self._clock = clock
        self.takes_writes = True
        """Whether Redis took the last beat that it answered."""
        self.redis_clock = RedisClock()

    async def beat(self) -> Beat:
        """Where Redis' disk is full nothing is appended, and the answer tells all the same: Redis may have been emptied.

        Raises: StoreUnavailable, RegistryFull.
        """
        sent_at = self._clock()
        try:
            reply = await self._link.read(self._append)
        except StoreUnavailable as error:
            if not takes_no_writes(error):
                raise
            if self.takes_writes:
                _log.warning("redis takes no writes (%s)", words_of(error.__cause__ or error))
            self.takes_writes = False
            sent_at = self._clock()
            reply = await self._link.read(self._look)
        else:
            if not self.takes_writes:
                _log.warning("redis takes writes again")
            self.takes_writes = True
        epoch, seconds, microseconds, before, after = reply
        self.redis_clock.told(int(seconds) + int(microseconds) / 1e6, sent_at=sent_at, received_at=self._clock())
        return Beat(epoch.decode() if epoch else None, EntryId.parse(before), EntryId.parse(after))

    async def _append(self, client: Client) -> Any:
        keys = (self._keys.epoch(), self._keys.changes(), self._keys.pods())
        return await _BEAT.run(client, keys, self._pod, QUIET_MILLISECONDS, FORGOTTEN_MILLISECONDS, MAX_ENTRIES)

    async def _look(self, client: Client) -> Any:
        return await _LOOK.run(client, (self._keys.epoch(), self._keys.changes()))

    async def stop(self) -> None:
        """Says goodbye: nobody waits for this pod any more.  Raises: StoreUnavailable."""
        await self._link.read(lambda client: client.zrem(self._keys.pods(), self._pod))
