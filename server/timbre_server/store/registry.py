"""The shared registry as one part: the store that never speaks a stale voice, the fleet, and what keeps both running."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Coroutine
from typing import Any, Final

from timbre_contract.keys import ServiceKeys
from timbre_server.ending import end
from timbre_server.errors import StoreUnavailable
from timbre_server.ports import VoiceChange
from timbre_server.settings import Settings
from timbre_server.store.checker import Checker
from timbre_server.store.fleet import RedisFleet
from timbre_server.store.followed import FollowedVoiceStore
from timbre_server.store.follower import Follower
from timbre_server.store.heartbeat import Heart
from timbre_server.store.holdings import Holdings
from timbre_server.store.link import RedisLink
from timbre_server.store.log_format import LogEntry
from timbre_server.store.positions import EntryId
from timbre_server.store.reconciliation import GRACE_SECONDS, Reconciliation
from timbre_server.store.redis_voices import RedisVoiceStore
from timbre_server.store.whisper import Whisper
from timbre_server.telemetry.metrics import Metrics

SWEEP_SECONDS: Final = 30.0
"""How often everything held is compared with the registry although nothing seems amiss; give or take a third, so that the
pods of a deployment do not ask together."""

_log = logging.getLogger(__name__)


class RedisRegistry:
    """Builds, starts and stops the parts; lives on one event loop.  The link is the caller's to start and close."""

    def __init__(
        self,
        link: RedisLink,
        keys: ServiceKeys,
        *,
        pod: str,
        settings: Settings,
        metrics: Metrics,
        grace_seconds: float = GRACE_SECONDS,
        sweep_seconds: float = SWEEP_SECONDS,
    ) -> None:
        """``pod`` names this process among those of the scope, uniquely."""
        clock = time.monotonic
        self._clock = clock
        self._metrics = metrics
        self._sweep_seconds = sweep_seconds
        self._heart = heart = Heart(link, keys, pod=pod, clock=clock)
        self._redis_clock = heart.redis_clock
        registry = RedisVoiceStore(link, keys)
        holdings = Holdings(settings.voices.max_stored_bytes)
        self.fleet = RedisFleet(link, keys, pod=pod)
        self._reconciliation = Reconciliation(registry, holdings, tell=self.fleet.tell, grace_seconds=grace_seconds)
        self.follower = Follower(link, keys, heart, compare=self._reconciliation.compare, clock=clock)
        self.checker = Checker(link, keys, registry, redis_clock=self._redis_clock, clock=clock, metrics=metrics)
        self.store = FollowedVoiceStore(
            registry,
            holdings,
            self.follower,
            self._reconciliation,
            self.checker,
            freshness=settings.freshness,
            clock=clock,
            unchecked_use=metrics.unchecked_use,
        )
        self._whisper = Whisper(link, keys)
        self._tasks: list[asyncio.Task[None]] = []
        self.follower.on_entry(self.store.take)  # first: a change takes effect before anybody is told
        self.follower.on_entry(self._measure)
        self.follower.on_entry(self.fleet.take)
        self.follower.on_beat(self._reconciliation.beat)
        self._whisper.on("change", lambda _: self.follower.hurry())
        metrics.watch_registry(lambda: self.healthy, lambda: self.degraded, lambda: self.takes_writes)

    @property
    def healthy(self) -> bool:
        """Whether voices in memory are spoken without asking Redis."""
        return self.follower.healthy

    @property
    def degraded(self) -> bool:
        """Whether Redis was emptied, and what this pod holds is not all back."""
        return self._reconciliation.degraded

    @property
    def takes_writes(self) -> bool:
        """Whether Redis, when last heard of, could keep what it is told: one whose disk is full answers reads only."""
        return self._heart.takes_writes

    def on_whisper(self, prefix: str, listener: Callable[[str], None]) -> None:
        """Calls ``listener`` with the rest of each message of the channel that begins so; some may be lost."""
        self._whisper.on(prefix, listener)

    def after_whispers_lost(self, listener: Callable[[], None]) -> None:
        """Calls ``listener`` whenever messages arrive again after some may have been lost."""
        self._whisper.after_gaps(listener)

    async def whispering(self) -> None:
        """Returns when messages of the channel arrive from now on."""
        await self._whisper.subscribed()

    async def start(self) -> None:
        """Begins to follow; returns at once, whether Redis is there or not."""
        await self.follower.start()
        self._tasks = [
            self._task("whisper", self._whisper.run()),
            self._task("fetch-recordings", self.store.fetch_recordings()),
            self._task("check-uses", self.checker.run()),
            self._task("sweep", self._sweep()),
        ]

    async def stop(self) -> None:
        """Says goodbye to the other pods and ends everything.  Idempotent."""
        await self.follower.stop()
        tasks, self._tasks = self._tasks, []
        await end(tasks)
        await self._reconciliation.stop()
        await self.fleet.stop()

    def _task(self, name: str, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_report)
        return task

    def _redis_now(self) -> float:
        return self._redis_clock.at(self._clock())

    def _measure(self, entry: LogEntry) -> None:
        # What a pod reads before it was healthy for the first time did not reach it late: it was not there.
        if isinstance(entry, VoiceChange) and self._redis_clock.known and self.follower.known_up_to > 0:
            self._metrics.change_applied(self._redis_now() - EntryId.parse(entry.entry).milliseconds / 1000)

    async def _sweep(self) -> None:
        while True:
            await asyncio.sleep(self._sweep_seconds * random.uniform(2 / 3, 4 / 3))  # noqa: S311 - spreads load only
            with contextlib.suppress(StoreUnavailable):
                await self._reconciliation.compare()


def _report(task: asyncio.Task[None]) -> None:
    if not task.cancelled() and (error := task.exception()) is not None:
        _log.error("this pod goes on without it: %s has ended", task.get_name(), exc_info=error)
