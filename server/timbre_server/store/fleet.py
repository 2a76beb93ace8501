"""Who else shares this registry, and have they all acted on a change?"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import OrderedDict
from contextvars import Context
from typing import Final

from timbre_contract.keys import ServiceKeys
from timbre_server.ending import end
from timbre_server.errors import StoreUnavailable, TimbreError
from timbre_server.ports import Acknowledgements, ChangeKind, ChangeListener, VoiceChange, VoiceName
from timbre_server.store.link import RedisLink
from timbre_server.store.log_format import MAX_ENTRIES, Acknowledgement, LogEntry
from timbre_server.store.lua_script import LuaScript
from timbre_server.store.positions import EntryId

PRESENT_MILLISECONDS: Final = 2_000
"""How long after its last beat a pod counts as alive: ten beats."""

_ROSTER_SECONDS: Final = 0.5
"""How often a waiting deletion looks who is still there: a quarter of ``PRESENT_MILLISECONDS``."""

_REMEMBERED: Final = 1_024
"""Changes whose acknowledgements are remembered: far more than deletions that wait at once."""

_ANSWER_SECONDS: Final = 0.2
"""Between attempts to write an acknowledgement while Redis is away: the period of the heartbeat."""

_ANSWER_ATTEMPTS: Final = 50
"""Ten seconds: twice as long as a deletion waits by default."""

UNKNOWN_PODS: Final = "unknown"
"""Stands in ``unconfirmed`` for pods of which nobody could be asked."""

_log = logging.getLogger(__name__)


class RedisFleet:
    """``Fleet`` over the log of changes; lives on one event loop."""

    def __init__(self, link: RedisLink, keys: ServiceKeys, *, pod: str) -> None:
        """``pod`` names this process among those of the scope, uniquely."""
        self._link = link
        self._keys = keys
        self._pod = pod
        self._script = LuaScript("acknowledge")
        self._roster = LuaScript("roster")
        self._listeners: list[ChangeListener] = []
        self._acting: dict[VoiceName, asyncio.Task[None]] = {}
        self._answers: OrderedDict[str, set[str]] = OrderedDict()
        self._answered = asyncio.Event()
        self._telling: set[asyncio.Task[None]] = set()

    def listen(self, listener: ChangeListener) -> None:
        self._listeners.append(listener)

    def take(self, entry: LogEntry) -> None:
        """An entry of the log, in order."""
        if isinstance(entry, VoiceChange):
            self.tell(entry)
        elif isinstance(entry, Acknowledgement):
            self._answer(entry.of, entry.pod)

    def tell(self, change: VoiceChange) -> None:
        """Sets the listeners to work, those of one voice one after another; without an entry nobody is answered."""
        before = self._acting.get(change.name)
        # In a context of its own: whichever request found the change out, its budget is not for the listeners.
        task = asyncio.create_task(self._act(change, before), name=f"change-{change.entry}", context=Context())
        self._acting[change.name] = task
        self._telling.add(task)
        task.add_done_callback(lambda done: self._acted(change.name, done))

    async def acknowledged(self, entry: str, *, timeout_seconds: float) -> Acknowledgements:
        counted: dict[str, bool] = {}
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(timeout_seconds):
                while not await self._all_answered(entry, counted):
                    await self._more_answers()
        heard = self._answers.get(entry, set())
        silent = {pod for pod, present in counted.items() if present} - heard if counted else {UNKNOWN_PODS}
        expired = {pod for pod, present in counted.items() if not present} - heard
        return Acknowledgements(tuple(sorted(heard)), tuple(sorted(expired)), tuple(sorted(silent)))

    async def stop(self) -> None:
        """Ends what listeners still do.  Idempotent."""
        await end(self._telling)

    async def _act(self, change: VoiceChange, before: asyncio.Task[None] | None) -> None:
        if before is not None:
            await asyncio.wait({before})
        try:
            for listener in self._listeners:
                await listener(change)
        except TimbreError as error:
            _log.warning("change %s could not be acted on: %s", change.entry, error.code)
            return
        if change.kind is ChangeKind.DELETED and change.entry:
            self._answer(change.entry, self._pod)
            await self._tell_others(change.entry)

    def _acted(self, name: VoiceName, task: asyncio.Task[None]) -> None:
        self._telling.discard(task)
        if self._acting.get(name) is task:
            del self._acting[name]
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("a listener to changes failed", exc_info=error)

    async def _tell_others(self, entry: str) -> None:
        keys = (self._keys.changes(),)
        for _ in range(_ANSWER_ATTEMPTS):
            try:
                await self._link.write(lambda client: self._script.run(client, keys, self._pod, entry, MAX_ENTRIES))
            except StoreUnavailable:
                await asyncio.sleep(_ANSWER_SECONDS)
            else:
                return
        _log.warning("deletion %s could not be acknowledged: the store is away", entry)

    def _answer(self, entry: str, pod: str) -> None:
        self._answers.setdefault(entry, set()).add(pod)
        while len(self._answers) > _REMEMBERED:
            self._answers.popitem(last=False)
        self._answered.set()
        self._answered.clear()

    async def _all_answered(self, entry: str, counted: dict[str, bool]) -> bool:
        """Whether all who lived when the change was made have answered or are gone; counts them on the way."""
        with contextlib.suppress(StoreUnavailable):
            await self._count(entry, counted)
        living = {pod for pod, present in counted.items() if present}
        return bool(counted) and living <= self._answers.get(entry, set())

    async def _more_answers(self) -> None:
        """Returns when somebody has answered, or when it is time to look who is still there."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(_ROSTER_SECONDS):
                await self._answered.wait()

    async def _count(self, entry: str, counted: dict[str, bool]) -> None:
        """Pods that lived when the change was made, and whether each lives still."""
        now, found = await self._link.read(
            lambda client: self._roster.run(
                client, (self._keys.pods(),), EntryId.parse(entry).milliseconds, PRESENT_MILLISECONDS
            )
        )
        seen = {name.decode(): float(score) for name, score in zip(found[::2], found[1::2], strict=True)}
        if not counted:
            counted.update(dict.fromkeys({*seen, self._pod}, True))
        for pod in counted:
            # Far ahead of the clock is long ago too: it was there before the clock was set back.
            counted[pod] = pod == self._pod or abs(int(now) - seen.get(pod, 0.0)) < PRESENT_MILLISECONDS
