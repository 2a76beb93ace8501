"""Is this process of any use, or would another one in its place be?

Only what a new process would cure counts: a watch that tells nothing any more, a turn that does not end, a lease that is
lost.  An API server that is away is no reason, until it has been away for so long that our connections may be to blame.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final

LEAST_STALE_SECONDS: Final = 300.0
"""A resync a minute, and five of them in vain."""
STALLED_SECONDS: Final = 180.0
"""Three turns of the longest length (60 s)."""


@dataclass(frozen=True, kw_only=True)
class Health:
    """What is asked, by those who know."""

    idle_seconds: Callable[[], float]
    most_idle: Callable[[], str]
    oldest_seconds: Callable[[], float]
    lease_lost: Callable[[], bool]
    synced: Callable[[], bool]
    """Whether everything was listed, and pods were asked as often as it takes to serve numbers."""
    stale_seconds: float

    def dead(self) -> list[str]:
        """Sentences; empty while the process is of use."""
        return list(self._dead())

    def unready(self) -> list[str]:
        """The same for those who want an answer from it."""
        return [*self._dead(), *(() if self.synced() else ("it does not know the cluster yet",))]

    def _dead(self) -> Iterator[str]:
        if (idle := self.idle_seconds()) > self.stale_seconds:
            yield f"nothing was heard of {self.most_idle()} for {idle:.0f} s"
        if (age := self.oldest_seconds()) > STALLED_SECONDS:
            yield f"a VoiceService waits or is worked on for {age:.0f} s"
        if self.lease_lost():
            yield "the lease is lost"
