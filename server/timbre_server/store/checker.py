"""Was what was spoken still true?  A sample of the uses of voices is held against the registry afterwards."""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from timbre_contract.keys import ServiceKeys
from timbre_server.domain.voice import VoiceRecord
from timbre_server.errors import StoreUnavailable
from timbre_server.ports import ChangeKind, VoiceChange, VoiceName
from timbre_server.store.heartbeat import RedisClock
from timbre_server.store.holdings import version_of
from timbre_server.store.link import Client, RedisLink
from timbre_server.store.log_format import LogEntry, from_fields
from timbre_server.store.redis_voices import GONE, RedisVoiceStore, VoiceVersion
from timbre_server.telemetry.metrics import Metrics

BOUND_SECONDS: Final = 1.0
"""A use is stale if the registry had changed so long before it: the promise of the design."""

_EVERY: Final = 100
"""One use in so many is checked: 1 % more questions to Redis than there are uses, at most."""

_AT_LEAST_EVERY_SECONDS: Final = 1.0
"""Where fewer uses come, one each second is checked."""

_WAITING: Final = 256
"""Samples that wait to be checked; more are dropped."""

_PAGE: Final = 1_000
"""Entries of the log that are searched at a time, newest first: about 5 ms."""

_PAGES: Final = 12
"""As many pages as the log is long (``MAX_ENTRIES``, about)."""

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Use:
    """A voice was spoken."""

    name: VoiceName
    version: VoiceVersion
    at: float
    """Seconds of our own clock."""


class Sampler:
    """Which uses to check: one in a hundred, and at least one per second.  Pure."""

    def __init__(self) -> None:
        self._uses = 0
        self._sampled_at = float("-inf")

    def chosen(self, now: float) -> bool:
        """Counts a use and says whether it is one of them."""
        self._uses += 1
        if self._uses % _EVERY and now - self._sampled_at < _AT_LEAST_EVERY_SECONDS:
            return False
        self._sampled_at = now
        return True


class Checker:
    """Asks the registry about past uses; lives on one event loop."""

    def __init__(
        self,
        link: RedisLink,
        keys: ServiceKeys,
        store: RedisVoiceStore,
        *,
        redis_clock: RedisClock,
        clock: Callable[[], float],
        metrics: Metrics,
    ) -> None:
        """``clock`` is monotonic, in seconds."""
        self._link = link
        self._keys = keys
        self._store = store
        self._redis_clock = redis_clock
        self._clock = clock
        self._metrics = metrics
        self._sampler = Sampler()
        self._uses: asyncio.Queue[Use] = asyncio.Queue(_WAITING)

    def used(self, record: VoiceRecord) -> None:
        """A voice is about to be spoken; costs no I/O."""
        now = self._clock()
        if self._sampler.chosen(now):
            with contextlib.suppress(asyncio.QueueFull):
                self._uses.put_nowait(Use(VoiceName(record.tenant, record.id), version_of(record), now))

    async def run(self) -> None:
        """Checks samples for ever."""
        while True:
            use = await self._uses.get()
            with contextlib.suppress(StoreUnavailable):
                await self.check(use)
            self._uses.task_done()

    async def checked(self) -> None:
        """Returns when all samples so far have been checked."""
        await self._uses.join()

    async def check(self, use: Use) -> bool:
        """Whether a use was stale; counts and logs it.  Raises: StoreUnavailable."""
        known = (await self._store.versions([use.name])).of[0]
        if known is None or known == use.version or not self._redis_clock.known:
            return False
        since = self._redis_clock.at(use.at) - BOUND_SECONDS
        if await self._was_current(use, since):
            return False
        self._metrics.stale_read()
        _log.error(
            "voice %s was spoken in generation %d although it had been %s for more than %g s",
            use.name.voice_id,
            use.version.generation,
            "deleted" if known is GONE else f"generation {known.generation}",
            BOUND_SECONDS,
        )
        return True

    async def _was_current(self, use: Use, since: float) -> bool:
        """Whether the log shows that the registry still had, or got, the version that was used after that moment."""
        newest = "+"
        for _ in range(_PAGES):
            entries = await self._page(newest, f"{int(since * 1000)}-0")
            if any(_shows(use, from_fields(entry_id, fields)) for entry_id, fields in entries):
                return True
            if len(entries) < _PAGE:
                return False
            newest = f"({entries[-1][0].decode()}"
        return False

    async def _page(self, newest: str, oldest: str) -> list[tuple[bytes, dict[bytes, bytes]]]:
        async def command(client: Client) -> list[tuple[bytes, dict[bytes, bytes]]]:
            entries: list[tuple[bytes, dict[bytes, bytes]]] = await client.xrevrange(
                self._keys.changes(), max=newest, min=oldest, count=_PAGE
            )
            return entries

        return await self._link.read(command, patient=True)


def _shows(use: Use, entry: LogEntry | None) -> bool:
    """Whether an entry made the version that was used, or ended it."""
    if not isinstance(entry, VoiceChange) or entry.name != use.name:
        return False
    if VoiceVersion(entry.generation, entry.digest) == use.version:  # a deletion names what it deleted
        return True
    return entry.kind is not ChangeKind.DELETED and entry.generation == use.version.generation + 1
