"""How does what the parts observe become metrics?"""

from __future__ import annotations

from timbre_server.batching import WorkKind
from timbre_server.telemetry.metrics import Metrics


class QueueObserver:
    """``batching.BatchObserver`` that counts in Prometheus."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics

    def batch_done(self, kind: WorkKind, size: int, *, busy_seconds: float, demand_seconds: float) -> None:
        self._metrics.batch_done(size, busy_seconds)
        self._metrics.engine_demanded(kind, demand_seconds)
