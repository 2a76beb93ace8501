"""How does a pod hear of every change of a voice, and how does it know that it has heard them all?

One connection waits on the log of changes (a Redis stream).  After each connect, and whenever something may have been
missed, everything that this pod holds is compared with the registry before the log is trusted again.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Awaitable, Callable
from typing import Final

from timbre_contract.keys import ServiceKeys
from timbre_server.ending import end, finish
from timbre_server.errors import StoreUnavailable, Unavailable
from timbre_server.store.health import LogHealth
from timbre_server.store.heartbeat import PERIOD_SECONDS, Beat, Heart
from timbre_server.store.link import Client, RedisLink
from timbre_server.store.log_format import LogEntry, from_fields
from timbre_server.store.positions import ORIGIN, EntryId, Extent, resumption
from timbre_server.store.refusals import LIBRARY_ERRORS, was_refused, words_of

_BLOCK_MILLISECONDS: Final = 100
"""How long a read waits for news.  Its return renews the proof of freshness, so this is a fifth of what the proof may age."""

_READ_TIMEOUT_SECONDS: Final = 0.5
"""When a read that should have returned after ``_BLOCK_MILLISECONDS`` is given up: by then nothing it says is fresh."""

_ENTRIES_PER_READ: Final = 256
"""About 2 ms of decoding, so that the loop serves requests in between."""

_RETRY_SECONDS: Final = 0.1
"""Between attempts to connect: Redis' return is noticed well within the second that the issue allows."""

_MOST_RETRY_SECONDS: Final = 3.2
"""Between attempts that Redis itself refuses, as for want of a right: five doublings, until somebody has mended it."""

_log = logging.getLogger(__name__)

_FAILURES: Final = (*LIBRARY_ERRORS, StoreUnavailable)
"""What a lost connection looks like: on the client of our own the library's errors, on the link ours."""


class Follower:
    """Reads the log; lives on one event loop."""

    def __init__(
        self,
        link: RedisLink,
        keys: ServiceKeys,
        heart: Heart,
        *,
        compare: Callable[[], Awaitable[None]],
        clock: Callable[[], float],
    ) -> None:
        """``compare`` compares what is held with the registry (raises ``StoreUnavailable``); ``clock`` is monotonic."""
        self._link = link
        self._keys = keys
        self._heart = heart
        self._compare = compare
        self._clock = clock
        self._health = LogHealth()
        self._gap_told = self._health.known_up_to
        """Of which outage, by what was known before it.  A pod that never followed has missed nothing."""
        self._seen: EntryId | None = None
        self._promised: tuple[float, EntryId] = (0.0, ORIGIN)
        """From when on a read must show at least which entry."""
        self._suspicion = ""
        self._entry_listeners: list[Callable[[LogEntry], None]] = []
        self._beat_listeners: list[Callable[[Beat], None]] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._hurry = asyncio.Event()
        self._turn = asyncio.Event()
        self.connects = 0
        """How often the log was begun to be read, after however many failures."""

    @property
    def healthy(self) -> bool:
        """Whether everything that was acknowledged more than half a second ago has taken effect here."""
        return self._health.healthy(self._clock())

    @property
    def known_up_to(self) -> float:
        """Everything that was acknowledged before this moment of our own clock has taken effect here."""
        return self._health.known_up_to

    def on_entry(self, listener: Callable[[LogEntry], None]) -> None:
        """Calls ``listener`` for every entry, in order, before the log counts as read up to there.  It may not wait."""
        self._entry_listeners.append(listener)

    def on_beat(self, listener: Callable[[Beat], None]) -> None:
        """Calls ``listener`` after each heartbeat that Redis answered."""
        self._beat_listeners.append(listener)

    def hurry(self) -> None:
        """There is news: connects at once where this pod was waiting to try again."""
        self._hurry.set()

    def suspect(self, reason: str) -> None:
        """Something may have been missed: not healthy until everything has been compared again."""
        self._suspicion = self._suspicion or reason
        self._health.broken()

    async def turn(self) -> None:
        """Returns when the next read or attempt has ended, one way or the other."""
        await self._turn.wait()

    async def start(self) -> None:
        """Begins to follow and to beat; returns at once."""
        self._tasks = [
            asyncio.create_task(self._follow_always(), name="follow-changes"),
            asyncio.create_task(self._beat_always(), name="beat"),
        ]
        for task in self._tasks:
            task.add_done_callback(_report)

    async def stop(self) -> None:
        """Ends both, and says goodbye to the other pods.  Idempotent."""
        tasks, self._tasks = self._tasks, []
        await end(tasks)
        if tasks:
            with contextlib.suppress(StoreUnavailable):
                await self._heart.stop()
        self._health.broken()
        self._turned()

    async def _follow_always(self) -> None:
        reported: float | None = None
        pause_seconds = _RETRY_SECONDS
        while True:
            before = self._health.known_up_to
            refused = False
            try:
                await self._follow()
                _log.warning("following the log of changes anew: %s", self._suspicion)
            except _FAILURES as error:
                refused = was_refused(error)
                if self._health.known_up_to != reported:  # once per outage
                    _log.warning("lost the log of changes: %s", words_of(error))
                    reported = self._health.known_up_to
            self._health.broken()
            self._turned()
            if self._health.known_up_to == before:  # it did not even begin: the next attempt waits a little
                pause_seconds = min(2 * pause_seconds, _MOST_RETRY_SECONDS) if refused else _RETRY_SECONDS
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_seconds):
                        await self._hurry.wait()
            else:
                pause_seconds = _RETRY_SECONDS
            self._hurry.clear()

    async def _follow(self) -> None:
        """Reads until something is wrong: returns on a suspicion, raises on an error."""
        client = self._link.dedicated(read_timeout_seconds=_READ_TIMEOUT_SECONDS, key=self._keys.changes())
        try:
            self.connects += 1
            self._suspicion = ""
            start = resumption(self._seen, await self._extent(client))
            if start.gap and self._health.known_up_to != self._gap_told:  # once per outage
                _log.warning("the log of changes has a gap behind %s", self._seen)
                self._gap_told = self._health.known_up_to
            self._seen = start.position
            await self._compare()
            if not self._suspicion:
                self._health.whole()
            block: int | None = None  # the first reads take what is there: soon healthy
            while not self._suspicion:
                block = _BLOCK_MILLISECONDS if await self._read(client, block) else None
        finally:
            await finish(client.aclose())

    async def _extent(self, client: Client) -> Extent:
        pipeline = client.pipeline(transaction=False)
        pipeline.xrange(self._keys.changes(), count=1)
        pipeline.xrevrange(self._keys.changes(), count=1)
        pipeline.time()
        first, last, (seconds, microseconds) = await pipeline.execute()
        return Extent(
            EntryId.parse(first[0][0]) if first else None,
            EntryId.parse(last[0][0]) if last else None,
            int(seconds) * 1000 + int(microseconds) // 1000,
        )

    async def _read(self, client: Client, block_milliseconds: int | None) -> bool:
        """Takes what is new; whether that was all."""
        sent_at = self._clock()
        reply = await client.xread(
            {self._keys.changes(): str(self._seen)}, count=_ENTRIES_PER_READ, block=block_milliseconds
        )
        streams = reply.values() if isinstance(reply, dict) else (entries for _, entries in reply)
        entries = [entry for stream in streams for entry in stream]
        for entry_id, fields in entries:
            self._take(entry_id, fields)
        whole = len(entries) < _ENTRIES_PER_READ
        if whole and not self._suspicion:
            self._check_promise(sent_at)
            self._health.read(sent_at)
        self._turned()
        return whole

    def _take(self, entry_id: bytes, fields: dict[bytes, bytes]) -> None:
        self._seen = EntryId.parse(entry_id)
        entry = from_fields(entry_id, fields)
        if entry is None:
            self.suspect(f"entry {self._seen} is of a kind that this version does not know")
            return
        for listener in self._entry_listeners:
            listener(entry)

    def _check_promise(self, sent_at: float) -> None:
        promised_at, promised = self._promised
        assert self._seen is not None
        if sent_at >= promised_at and self._seen < promised:
            self.suspect(f"the log ends at {self._seen}, but {promised} was there before")

    async def _beat_always(self) -> None:
        while True:
            seen_before = self._seen
            with contextlib.suppress(Unavailable):  # away, or so full that even this is refused
                beat = await self._heart.beat()
                if seen_before is not None and beat.before < seen_before:
                    self.suspect(f"the log went back from {seen_before} to {beat.before}")
                self._promised = (self._clock(), beat.after)
                for listener in self._beat_listeners:
                    listener(beat)
            await asyncio.sleep(PERIOD_SECONDS)

    def _turned(self) -> None:
        self._turn.set()
        self._turn.clear()


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.critical("this pod asks Redis at each use from now on: %s has ended", task.get_name(), exc_info=error)
