"""Does what this pod holds still agree with the registry, and what if the registry was emptied?

Agreement is equality of generation and digest, never order: the failover of an asynchronous replica can take a generation
back, and then the registry is right.  Only where Redis was emptied (its epoch is gone, or another one) does the pod know
better: it goes on with what it has and publishes it again.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Sequence
from contextvars import Context
from enum import Enum
from typing import Final

from timbre_server.domain.voice import VoiceRecord
from timbre_server.ending import end
from timbre_server.errors import RegistryFull, StoreUnavailable
from timbre_server.ports import ChangeKind, VoiceChange, VoiceName
from timbre_server.store.heartbeat import Beat
from timbre_server.store.holdings import Holdings, version_of
from timbre_server.store.redis_voices import GONE, RedisVoiceStore, Version
from timbre_server.store.refusals import takes_no_writes
from timbre_server.store.rounds import Rounds

GRACE_SECONDS: Final = 2.0
"""How long after Redis was found emptied a voice that is missing may still come back from another pod: that pod notices
within a beat (0.2 s), or reconnects within a probe of the breaker and an attempt of the follower (0.3 s), and publishes
about 1,000 voices per second."""

GRAVES: Final = 10_000
"""Deletions that a pod remembers, 1.5 MB: as many changes as the log of changes keeps."""

_RETRY_SECONDS: Final = 1.0
"""Between attempts to publish again while Redis is away or full."""

_log = logging.getLogger(__name__)


class Verdict(Enum):
    """What becomes of a record that is held."""

    CURRENT = "current"
    OVERTAKEN = "overtaken"
    LOST = "lost"
    """By the registry: it is served, and published again."""


def verdict(held: VoiceRecord, known: Version, *, emptied: bool) -> Verdict:
    """What the registry's answer means for a held record; ``emptied`` = the registry may have been filled with less."""
    if known is None:
        return Verdict.LOST
    if known == version_of(held):
        return Verdict.CURRENT
    if emptied and known is not GONE and known.generation < held.generation:
        return Verdict.LOST
    return Verdict.OVERTAKEN


class Reconciliation:
    """Compares, drops and publishes again; lives on one event loop."""

    def __init__(
        self,
        store: RedisVoiceStore,
        holdings: Holdings,
        *,
        tell: Callable[[VoiceChange], None],
        grace_seconds: float = GRACE_SECONDS,
    ) -> None:
        """``tell`` hears of changes that the log did not show; they have no entry."""
        self._store = store
        self._rounds = Rounds(self._versions)
        self._holdings = holdings
        self._tell = tell
        self._grace_seconds = grace_seconds
        self._epoch: str | None = None
        self._emptied = False
        self._lost: dict[VoiceName, None] = {}
        self._graves: OrderedDict[VoiceName, int] = OrderedDict()
        self._unburied: dict[VoiceName, int] = {}
        self._restoring: asyncio.Task[None] | None = None

    @property
    def degraded(self) -> bool:
        """Whether Redis was emptied, and what the pods held is not all back."""
        return self._emptied

    def deleted(self, name: VoiceName, generation: int) -> None:
        """The voice is gone for good: a pod that has not heard of it shall not bring it back into an emptied Redis."""
        self._graves[name] = generation
        self._graves.move_to_end(name)
        if len(self._graves) > GRAVES:
            self._graves.popitem(last=False)

    async def compare(self) -> None:
        """Drops everything held that the registry has another version of.  Raises: StoreUnavailable."""
        self._holdings.distrust_flights()
        names = self._holdings.names()
        asked = [self._holdings.look(name) for name in names]
        seen = await self._store.versions(names)
        if self._epoch is None:
            self._epoch = seen.epoch or await self._begun_epoch()
        else:
            self._meet(seen.epoch)
        for name, held, known in zip(names, asked, seen.of, strict=True):
            self._judge(name, held, known)

    async def _begun_epoch(self) -> str | None:
        """None where Redis has no room for it: there is nothing to lose yet, and whoever stores a voice begins it."""
        try:
            return await self._store.begin_epoch()
        except RegistryFull:
            return None
        except StoreUnavailable as error:
            if takes_no_writes(error):
                return None
            raise

    async def check(self, name: VoiceName) -> Verdict | None:
        """Compares one voice, in a round trip shared with others; None = what was held is not any more.

        Raises: StoreUnavailable.
        """
        asked = self._holdings.look(name)
        epoch, known = await self._rounds.ask(name)
        if self._epoch is not None:
            self._meet(epoch)
        return self._judge(name, asked, known)

    async def _versions(self, names: Sequence[VoiceName]) -> Sequence[tuple[str | None, Version]]:
        seen = await self._store.versions(names)
        return [(seen.epoch, known) for known in seen.of]

    def _judge(self, name: VoiceName, asked: VoiceRecord | None, known: Version) -> Verdict | None:
        held = self._holdings.look(name)
        if held is None or asked is None or version_of(held) != version_of(asked):
            return None  # it changed while the question was on its way: the answer may be older than what is held
        found = verdict(held, known, emptied=self._emptied)
        if found is Verdict.CURRENT:
            self._holdings.confirm(name)
        elif found is Verdict.LOST:
            self._lost[name] = None
            self._restore()
        elif known is not None:
            self._holdings.drop_unless(name, known)
            if known is GONE:
                self.deleted(name, held.generation)
                self._tell(VoiceChange(ChangeKind.DELETED, name, held.generation, held.digest, ""))
            else:
                self._tell(VoiceChange(ChangeKind.REPLACED, name, known.generation, known.digest, "", held.digest))
        return found

    def beat(self, beat: Beat) -> None:
        """A heartbeat saw the epoch."""
        if self._epoch is None:
            self._epoch = beat.epoch  # begun by whoever stored a voice
        else:
            self._meet(beat.epoch)

    async def settled(self) -> None:
        """Returns when nothing is left to be published again."""
        while self._restoring is not None:
            await asyncio.wait({self._restoring})

    async def stop(self) -> None:
        """Idempotent."""
        if self._restoring is not None:
            await end([self._restoring])

    def _meet(self, epoch: str | None) -> None:
        if epoch == self._epoch or self._emptied:
            return
        self._emptied = True
        _log.warning("the voice store was emptied: publishing again the %d voices held here", len(self._holdings))
        self._lost.update(dict.fromkeys(self._holdings.names()))
        self._unburied.update(self._graves)
        self._restore()

    def _restore(self) -> None:
        if self._restoring is None:
            # In a context of its own: it works for no request, and on no request's budget.
            self._restoring = asyncio.create_task(self._restore_all(), name="restore-voices", context=Context())
            self._restoring.add_done_callback(self._restored)

    def _restored(self, task: asyncio.Task[None]) -> None:
        self._restoring = None
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("publishing voices again failed", exc_info=error)

    async def _restore_all(self) -> None:
        grace_ends_at = asyncio.get_running_loop().time() + self._grace_seconds
        told = ""
        while True:
            try:
                while self._unburied:
                    name, generation = next(iter(self._unburied.items()))
                    await self._store.bury_voice(name, generation)
                    self._unburied.pop(name, None)
                while self._lost:
                    # Those with their recordings first: they are worth most.
                    for name in sorted(self._lost, key=lambda lost: self._recording(lost) is None):
                        await self._restore_one(name)
                if not self._emptied:
                    return
                await asyncio.sleep(grace_ends_at - asyncio.get_running_loop().time())
                if not self._lost and not self._unburied:
                    self._epoch = await self._store.begin_epoch()
                    self._emptied = False
                    _log.warning("what was held here of the voice store is published again")
            except (StoreUnavailable, RegistryFull) as error:
                if error.message != told:  # once per reason, and it tries on
                    _log.warning("a voice could not be published again yet: %s", error.message)
                    told = error.message
                await asyncio.sleep(_RETRY_SECONDS)

    def _recording(self, name: VoiceName) -> bytes | None:
        held = self._holdings.look(name)
        return None if held is None else self._holdings.recording(name, held.digest)

    async def _restore_one(self, name: VoiceName) -> None:
        held = self._holdings.look(name)
        if held is not None:
            if await self._store.restore_voice(held, self._recording(name)):
                _log.info("published voice %s again", name.voice_id)
            else:
                self._holdings.doubt(name)  # another pod was first, or knows that it was deleted
        self._lost.pop(name, None)
