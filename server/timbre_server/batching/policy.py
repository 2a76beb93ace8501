"""Which of the waiting jobs run next, together?  A pure decision."""

from __future__ import annotations

import math
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Generic, Protocol, TypeVar


class WorkKind(StrEnum):
    """What the engine does with a job; the values are label values of the metrics."""

    SYNTHESIS = "synthesis"
    EXTRACTION = "extraction"


class Candidate(Protocol):
    """What the policy wants to know of a job."""

    @property
    def kind(self) -> WorkKind:
        """A batch is of one kind."""
        ...

    @property
    def row(self) -> Hashable:
        """Equal for the jobs of one request; they leave in the order in which they wait."""
        ...

    @property
    def voice(self) -> Hashable:
        """Equal for jobs of one voice."""
        ...

    @property
    def cost_seconds(self) -> float:
        """Predicted engine time of the job on its own."""
        ...

    @property
    def arrived_at(self) -> float:
        """Loop time from which the job could have run."""
        ...

    @property
    def urgent(self) -> bool:
        """Whether somebody's first audio waits for it: the first sentence of a request, or an extraction."""
        ...

    @property
    def deadline(self) -> float | None:
        """Loop time at which the listener runs out of audio, where that is known."""
        ...


@dataclass(frozen=True)
class Limits:
    """What a batch may hold."""

    max_batch_size: int = 16
    max_batch_cost_seconds: float = 0.0
    """Bound on the predicted time of a batch; 0 = none.  A job that is longer on its own still runs, alone."""
    max_queue_delay_seconds: float = 0.0
    """How long a batch that is not full waits for company; 0 = it leaves at once."""
    max_cross_voice_batch: int = 1
    """How many voices one batch of speech may hold; jobs of one voice count once."""
    max_encode_batch: int = 1
    patience_seconds: float = 1.0
    """For how long jobs that are urgent overtake one that is not.  A short sentence speaks for about a second,
    and while the listener hears it the next one can wait."""


J = TypeVar("J", bound=Candidate)


@dataclass(frozen=True)
class Batch(Generic[J]):
    """The jobs that run now; if none, when to ask again."""

    jobs: tuple[J, ...] = ()
    wake_at: float | None = None
    """Loop time at which the decision would be another one; None = only when a job arrives."""


def next_batch(
    waiting: Sequence[J], limits: Limits, now: float, predicted_seconds: Callable[[Sequence[float]], float] = sum
) -> Batch[J]:
    """The jobs to run at ``now``, the most urgent first; jobs of one row must wait in their order.

    The job that is due first always leaves, whatever its cost, and others of its kind join it as they fit, in
    the order in which they are due.  A job is due when it arrived, or ``patience_seconds`` later (or at its
    ``deadline``) if it is not urgent.  So every job overtakes all that arrive later than its due time: none starves.
    """
    if not waiting:
        return Batch()
    first, *others = _by_due_time(waiting, limits)
    packing = _Packing(first, limits, predicted_seconds)
    for job in others:
        if packing.is_full:
            break
        packing.offer(job)
    leaves_at = min(job.arrived_at for job in packing.jobs) + limits.max_queue_delay_seconds
    holds_all = len(packing.jobs) == len(waiting) and not packing.is_full
    if holds_all and first.kind is WorkKind.SYNTHESIS and now < leaves_at:
        return Batch(wake_at=leaves_at)
    return Batch(tuple(packing.jobs))


def _by_due_time(waiting: Sequence[J], limits: Limits) -> list[J]:
    """The jobs in the order in which they are due, jobs of one row never before their predecessors."""
    latest: dict[Hashable, float] = {}
    due_times: list[float] = []
    for job in waiting:
        due = max(_due_time(job, limits), latest.get(job.row, -math.inf))
        latest[job.row] = due
        due_times.append(due)
    return [waiting[place] for place in sorted(range(len(waiting)), key=due_times.__getitem__)]


def _due_time(job: Candidate, limits: Limits) -> float:
    if job.urgent:
        return job.arrived_at
    return job.arrived_at + limits.patience_seconds if job.deadline is None else job.deadline


@dataclass
class _Packing(Generic[J]):
    """A batch that is being filled."""

    first: J
    limits: Limits
    predicted_seconds: Callable[[Sequence[float]], float]
    jobs: list[J] = field(init=False)
    _costs: list[float] = field(init=False)
    _voices: set[Hashable] = field(init=False)
    _passed_over: set[Hashable] = field(default_factory=set, init=False)
    """Rows of which a job did not fit: their later jobs may not leave before it."""

    def __post_init__(self) -> None:
        self.jobs = [self.first]
        self._costs = [self.first.cost_seconds]
        self._voices = {self.first.voice}

    @property
    def is_full(self) -> bool:
        limits = self.limits
        speech = self.first.kind is WorkKind.SYNTHESIS
        return len(self.jobs) >= (limits.max_batch_size if speech else limits.max_encode_batch)

    def offer(self, job: J) -> None:
        """Takes the job if it fits."""
        if not self._fits(job):
            self._passed_over.add(job.row)
            return
        self.jobs.append(job)
        self._costs.append(job.cost_seconds)
        self._voices.add(job.voice)

    def _fits(self, job: J) -> bool:
        if job.kind is not self.first.kind or job.row in self._passed_over:
            return False
        voices = len(self._voices | {job.voice})
        if job.kind is WorkKind.SYNTHESIS and voices > self.limits.max_cross_voice_batch:
            return False
        budget = self.limits.max_batch_cost_seconds
        return budget <= 0.0 or self.predicted_seconds([*self._costs, job.cost_seconds]) <= budget
