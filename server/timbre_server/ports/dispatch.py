"""What does the one queue before the engine promise?"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from timbre_server.domain.pcm import Samples
from timbre_server.domain.voice import Features, Reference
from timbre_server.ports.engine import Utterance


class Permit(Protocol):
    """A place in the queue, paid in predicted seconds; freed once by ``release`` (idempotent)."""

    def release(self) -> None: ...


@dataclass
class RowTimings:
    """Where a request's time went, in seconds; filled while it runs, for ``Server-Timing``."""

    queue_seconds: float = 0.0
    """From submission to the start of the batch that held its first job."""
    synthesis_seconds: float = 0.0
    """Engine time of the batches that held its jobs, each counted whole."""


class Dispatcher(Protocol):
    """The one queue before the engine: batches jobs of all requests, in an order that keeps first audio early."""

    def admit(self, cost_seconds: float) -> Permit:
        """A permit, taken at the door before any work.

        Raises:
            Overloaded: with it, more predicted seconds would be pending than allowed.
            EngineStopped: the engine is gone for good.
        """
        ...

    def speak(
        self,
        row: Sequence[Utterance],
        *,
        permit: Permit,
        timings: RowTimings | None = None,
        finished: Callable[[], None] | None = None,
    ) -> AsyncIterator[Samples]:
        """The speech of all jobs of a request, in order, piece by piece as they come.

        The permit is released as the work gets done, and wholly when the iterator ends or is closed.
        Closing the iterator (``aclose``) drops what has not run yet before it costs anything.  ``finished`` is called once,
        on the loop, when the engine reads the row's features no more: that is after the batch that runs, also if the
        reader has left.

        Raises:
            EngineError: a job of this row failed, alone.
        """
        ...

    async def extract(self, reference: Reference, *, begun: Callable[[], None] | None = None) -> Features:
        """The features of a voice, extracted on the engine between batches of speech.

        ``begun`` is called on the loop when the engine takes it up; cancelled before that, it costs nothing.

        Raises:
            AudioTooShort, EngineError: as ``Engine.encode``.
        """
        ...

    def speech_demand_seconds(self, costs_seconds: Sequence[float]) -> float:
        """Engine time of sentences that alone cost so much, if each runs in a full batch, as batches took lately."""
        ...

    def extraction_demand_seconds(self, cost_seconds: float) -> float:
        """As ``speech_demand_seconds``, of one extraction."""
        ...

    @property
    def queued_requests(self) -> int:
        """Permits for work that the engine has not begun: one for each request, however many sentences it has."""
        ...

    @property
    def pending_requests(self) -> int: ...

    @property
    def pending_work_seconds(self) -> float: ...
