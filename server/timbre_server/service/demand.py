"""How much engine time was asked for, served or not?  What the service is scaled by.

A request counts when it arrives, also one that is refused because too much waits already; the tries of a client that it
repeats for this reason do not count again.  What the request itself can do nothing about (no such voice, no right, too many
requests of one client) is refused before it comes here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import StrEnum
from typing import Final

from timbre_server.ports import Dispatcher

PREPARATIONS_WEIGHT: Final = 0.02
"""Of the newest request in the mean cost of preparing a voice: the last fifty count, ten times as many as extractions that
share one batch."""


class DemandKind(StrEnum):
    """What time is asked for; the values are label values of the metric."""

    SYNTHESIS = "synthesis"
    EXTRACTION = "extraction"
    TRANSFER = "transfer"


def _uncounted(_kind: str, _seconds: float) -> None:
    pass


class Demand:
    """Counts what requests ask for; lives on the event loop, and costs each request a few microseconds."""

    def __init__(self, dispatcher: Dispatcher, count: Callable[[str, float], None] = _uncounted) -> None:
        """``count`` takes a ``DemandKind`` and predicted seconds."""
        self._dispatcher = dispatcher
        self._count = count
        self._prepared = {DemandKind.EXTRACTION: 0.0, DemandKind.TRANSFER: 0.0}
        """What the voice of an average request took, in predicted seconds."""

    def arrived(self, costs_seconds: Sequence[float]) -> None:
        """A request for speech whose sentences alone cost so much; what its voice needs is counted when that is known."""
        for kind in self._prepared:
            self._prepared[kind] *= 1 - PREPARATIONS_WEIGHT
        self._count(DemandKind.SYNTHESIS, self._dispatcher.speech_demand_seconds(costs_seconds))

    def refused(self) -> None:
        """A request that arrived gets no place, and nobody looks for its voice: it counts as an average one."""
        for kind, mean_seconds in self._prepared.items():
            self._prepared[kind] = mean_seconds / (1 - PREPARATIONS_WEIGHT)  # it tells nothing about voices
            self._count(kind, self._prepared[kind])

    def extraction(self, cost_seconds: float) -> None:
        """The voice of a request must be extracted, which alone costs so much; once for all who wait for it."""
        self._prepare(DemandKind.EXTRACTION, self._dispatcher.extraction_demand_seconds(cost_seconds))

    def transfer(self, seconds: float) -> None:
        """The voice of a request comes from the shared tier, which should take so long."""
        self._prepare(DemandKind.TRANSFER, seconds)

    def enrolment(self, cost_seconds: float) -> None:
        """A voice is enrolled, whose extraction alone costs so much."""
        self._count(DemandKind.EXTRACTION, self._dispatcher.extraction_demand_seconds(cost_seconds))

    def _prepare(self, kind: DemandKind, seconds: float) -> None:
        self._prepared[kind] += PREPARATIONS_WEIGHT * seconds
        self._count(kind, seconds)
