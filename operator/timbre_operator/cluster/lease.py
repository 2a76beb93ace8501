"""Which of several operators writes?  The holder of a Lease, and nobody while the holder is not sure.

Every candidate needs an identity of its own, also another process in the same pod.

The times that a Lease holds come from other machines' clocks and are never compared with ours: a candidate looks whether
the Lease changes, and takes over when it has not for as long as the holder promised, by the candidate's own clock.  The
holder counts its time from before it asked for it, so that it stops first.

References: k8s.io/client-go/tools/leaderelection, whose durations these are, and the Lease of coordination.k8s.io/v1.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final, Protocol

from timbre_operator.errors import ClusterError, Conflict

LEASE_SECONDS: Final = 15
"""After a holder's death another one takes over after this and at most a retry."""
RENEW_SECONDS: Final = 10.0
"""A holder that could not renew for so long gives up, with five seconds to go."""
RETRY_SECONDS: Final = 2.0
_JITTER: Final = 0.2
"""Of the retry, so that candidates do not ask at the same moment."""

logger = logging.getLogger("timbre.lease")


class LeaseStore(Protocol):
    """Where the Lease lies."""

    async def read(self) -> Mapping[str, Any] | None:
        """The object; None where there is none."""
        ...

    async def create(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raises: Conflict: somebody was faster."""
        ...

    async def replace(self, found: Mapping[str, Any], spec: Mapping[str, Any]) -> Mapping[str, Any]:
        """Raises: Conflict: it changed since it was read."""
        ...


@dataclass
class _Seen:
    """The Lease as it was read last, and when it was seen to have changed."""

    found: Mapping[str, Any]
    since: float


def awake_and_asleep_seconds() -> float:
    """A clock that nobody sets and that goes on while the machine sleeps: a leader that slept through its time knows it."""
    return time.clock_gettime(time.CLOCK_BOOTTIME)


class Lease:
    """One candidate."""

    def __init__(
        self,
        store: LeaseStore,
        identity: str,
        *,
        clock: Callable[[], float] = awake_and_asleep_seconds,
        chance: Callable[[], float] = random.random,
    ) -> None:
        self._store = store
        self._identity = identity
        self._clock = clock
        self._chance = chance
        self._seen: _Seen | None = None
        self._round: asyncio.Task[bool] | None = None
        """The latest, whose request may be on its way."""
        self._renewed: float | None = None
        """When the last renewal that went through was begun; None while somebody else leads."""

    def held(self) -> bool:
        """Whether we may write now."""
        return self._renewed is not None and self._clock() - self._renewed < RENEW_SECONDS

    async def acquire(self) -> None:
        """Returns as soon as the Lease is ours."""
        while not await self._go_round():
            await self._pause()
        logger.info("this operator writes from now on", extra={"fields": {"identity": self._identity}})

    async def keep(self) -> None:
        """Renews, and returns once the Lease is lost: whoever called it has to end, at once."""
        while self._renewed is not None and (left := RENEW_SECONDS - (self._clock() - self._renewed)) > 0:
            try:
                async with asyncio.timeout(left):
                    await self._pause()
                    await self._go_round()
            except TimeoutError:
                break
        await self._end_round(0.0)
        self._renewed = None
        logger.error("the lease is lost; this operator ends", extra={"fields": {"identity": self._identity}})

    async def release(self) -> None:
        """Lets the next one begin at once; in vain where the API server does not answer, and then it waits.

        A renewal that is on its way is let end first: it would win against us, or make ours one of an old version.
        """
        await self._end_round(RENEW_SECONDS)
        if not self.held():
            return
        self._renewed = None
        try:
            found = await self._store.read()  # a renewal whose answer was lost may have gone through
            if found is None or found["spec"].get("holderIdentity") != self._identity:
                return
            spec = {**found["spec"], "holderIdentity": "", "leaseDurationSeconds": 1, "renewTime": _now()}
            await self._store.replace(found, spec)
        except ClusterError as error:
            logger.warning("the lease was not given back", extra={"fields": {"error": str(error)}})

    async def _go_round(self) -> bool:
        """One round, which ends also where its caller is cancelled: a request that was sent cannot be taken back."""
        self._round = asyncio.create_task(self._try())
        return await asyncio.shield(self._round)

    async def _end_round(self, seconds: float) -> None:
        """Nothing is on its way after it; the answer is waited for so long."""
        if self._round is None:
            return
        await asyncio.wait({self._round}, timeout=seconds)
        self._round.cancel()
        with contextlib.suppress(asyncio.CancelledError):
            await self._round
        self._round = None

    async def _try(self) -> bool:
        """One round: whether the Lease is ours after it."""
        began = self._clock()
        try:
            found = await self._store.read()
            if found is None:
                self._saw(await self._store.create(self._spec(None)))
            else:
                self._saw(found)
                if not self._free(found):
                    self._renewed = None
                    return False
                self._saw(await self._store.replace(found, self._spec(found["spec"])))
        except Conflict:
            return False  # somebody else, or our own request whose answer was lost: the next round reads which
        except ClusterError as error:
            logger.warning("the lease could not be renewed", extra={"fields": {"error": str(error)}})
            return False
        self._renewed = began
        return True

    def _free(self, found: Mapping[str, Any]) -> bool:
        """Ours already, given back, or not changed for as long as its holder promised."""
        spec = found.get("spec") or {}
        holder = spec.get("holderIdentity") or ""
        if holder in {"", self._identity}:
            return True
        assert self._seen is not None
        return self._clock() - self._seen.since >= (spec.get("leaseDurationSeconds") or LEASE_SECONDS)

    def _saw(self, found: Mapping[str, Any]) -> None:
        version = found["metadata"]["resourceVersion"]
        if self._seen is None or self._seen.found["metadata"]["resourceVersion"] != version:
            self._seen = _Seen(found, self._clock())

    def _spec(self, before: Mapping[str, Any] | None) -> dict[str, Any]:
        ours = before is not None and before.get("holderIdentity") == self._identity
        now = _now()
        return {
            "holderIdentity": self._identity,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": now,
            "acquireTime": before.get("acquireTime") or now if ours and before else now,
            "leaseTransitions": int((before or {}).get("leaseTransitions") or 0) + (0 if ours or before is None else 1),
        }

    async def _pause(self) -> None:
        await asyncio.sleep(RETRY_SECONDS * (1 + _JITTER * self._chance()))


def _now() -> str:
    """For people who read the Lease."""
    return datetime.now(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
