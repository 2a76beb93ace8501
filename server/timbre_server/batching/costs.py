"""What does queued work cost once it runs in batches?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol


class CostModel(Protocol):
    """Turns the predicted costs of single jobs into engine time."""

    def predicted_batch_seconds(self, costs_seconds: Sequence[float]) -> float:
        """What counts against the cost limit of a batch of these jobs."""
        ...

    def predicted_drain_seconds(self, cost_seconds: float) -> float:
        """Engine time until queued jobs of that cost in sum are done."""
        ...

    def observe(self, costs_seconds: Sequence[float], busy_seconds: float) -> None:
        """Learns from a batch that ran well."""
        ...


_MEMORY = 0.9
"""Weight that the past keeps with each batch: the estimate follows the last ten or so."""


_LARGEST_GAIN = 1 / 64
"""A queue is never believed to drain faster: batches of 16 gain at most 16-fold, and a clock that is too coarse
to see the engine's time must not open the door for everybody."""


class MeasuredCosts:
    """Costs add up within a batch; the queue drains as fast as the last batches did.

    The sum is the measure for a batch because the limit guards memory, and memory does not shrink by batching.
    The queue's speed is the measured engine time over the predicted time of the same jobs: below 1 where
    batching pays, above 1 where the predictions are too low for this machine.
    """

    def __init__(self) -> None:
        self._busy_seconds = 0.0
        self._cost_seconds = 0.0

    def predicted_batch_seconds(self, costs_seconds: Sequence[float]) -> float:
        return sum(costs_seconds)

    def predicted_drain_seconds(self, cost_seconds: float) -> float:
        if self._cost_seconds <= 0.0:
            return cost_seconds
        return cost_seconds * max(self._busy_seconds / self._cost_seconds, _LARGEST_GAIN)

    def observe(self, costs_seconds: Sequence[float], busy_seconds: float) -> None:
        self._busy_seconds = _MEMORY * self._busy_seconds + busy_seconds
        self._cost_seconds = _MEMORY * self._cost_seconds + sum(costs_seconds)
