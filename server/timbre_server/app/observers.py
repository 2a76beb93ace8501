"""How does what the parts observe become metrics?"""

from __future__ import annotations

from collections.abc import Callable

from timbre_server.telemetry.metrics import Metrics


def _none() -> bool:
    return False


class QueueObserver:
    """``batching.BatchObserver`` that counts in Prometheus."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self.relief: Callable[[], bool] = _none
        """Frees memory of the engine's device if it can, and says whether it did."""

    def batch_done(self, size: int, *, busy_seconds: float) -> None:
        self._metrics.batch_done(size, busy_seconds)

    def out_of_memory(self) -> bool:
        return self.relief()
