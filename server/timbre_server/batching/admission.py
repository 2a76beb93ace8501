"""Who may still come in?  A ledger of the predicted seconds that are promised and not yet worked off."""

from __future__ import annotations

from collections import deque

from timbre_server.batching.costs import CostModel
from timbre_server.errors import Overloaded

_ROUNDING_SECONDS = 1e-6
"""Below this a sum of seconds counts as nothing: floats that were added and subtracted leave dust."""


class WorkPermit:
    """A place in the queue; it shrinks as its work gets done and frees itself when nobody holds it any longer."""

    def __init__(self, ledger: Ledger, cost_seconds: float) -> None:
        self._ledger = ledger
        self._open = True
        self._queued = True
        self.remaining_seconds = cost_seconds

    def begin(self) -> None:
        """The engine has taken the first of the work: its request waits no longer.  Idempotent."""
        if self._queued:
            self._queued = False
            self._ledger.give_back(0.0, queued=1)

    def spend(self, seconds: float) -> None:
        """Gives back that much, at most what is left."""
        seconds = min(seconds, self.remaining_seconds)
        self.remaining_seconds -= seconds
        self._ledger.give_back(seconds)

    def keep_at_most(self, seconds: float) -> None:
        """Gives back what exceeds that."""
        self.spend(max(0.0, self.remaining_seconds - seconds))

    def keep_at_least(self, seconds: float) -> None:
        """Takes what is missing from that, whether or not it fits: the work has been admitted before."""
        missing = seconds - self.remaining_seconds
        if self._open and missing > 0.0:
            self.remaining_seconds += missing
            self._ledger.give_back(-missing)

    def release(self) -> None:
        if self._open:
            self._open = False
            self._ledger.give_back(self.remaining_seconds, permits=1, queued=int(self._queued))
            self.remaining_seconds = 0.0
            self._queued = False

    def __del__(self) -> None:
        self.release()


class Ledger:
    """All open permits, bounded by the engine time that they are predicted to take.

    ``max_pending_seconds`` = 0 means no bound.
    """

    def __init__(self, max_pending_seconds: float, costs: CostModel) -> None:
        self._max_pending_seconds = max_pending_seconds
        self._costs = costs
        self._cost_seconds = 0.0
        self._permits = 0
        self._queued = 0
        self._returned: deque[tuple[float, int, int]] = deque()
        """What permits gave back, by whichever thread, and the sums above still hold."""

    @property
    def pending_seconds(self) -> float:
        """Predicted engine time until everything that was promised is done."""
        self._settle()
        return self._costs.predicted_drain_seconds(self._cost_seconds)

    @property
    def queued(self) -> int:
        """Permits whose work the engine has not begun."""
        self._settle()
        return self._queued

    def admit(self, cost_seconds: float) -> WorkPermit:
        """A permit for that much work; while nothing else is pending it is given however large it is.

        Raises:
            Overloaded: with the time after which it would fit.
        """
        pending_seconds = self.pending_seconds
        excess_seconds = pending_seconds + self._costs.predicted_drain_seconds(cost_seconds) - self._max_pending_seconds
        busy = pending_seconds > _ROUNDING_SECONDS
        if busy and self._max_pending_seconds > 0.0 and excess_seconds > _ROUNDING_SECONDS:
            raise Overloaded(
                f"{pending_seconds:.1f} s of work are pending; this service queues at most {self._max_pending_seconds:g} s",
                retry_after_seconds=min(excess_seconds, pending_seconds),
            )
        self._permits += 1
        self._queued += 1
        self._cost_seconds += cost_seconds
        return WorkPermit(self, cost_seconds)

    def give_back(self, seconds: float, *, permits: int = 0, queued: int = 0) -> None:
        """Takes work off the ledger; any thread may call it, at any point."""
        self._returned.append((seconds, permits, queued))

    def _settle(self) -> None:
        while self._returned:
            seconds, permits, queued = self._returned.popleft()
            self._cost_seconds -= seconds
            self._permits -= permits
            self._queued -= queued
        if self._permits == 0:
            self._cost_seconds = 0.0  # what is left is rounding
