"""The operator's Prometheus metrics: one structure, made from the contract's specs, one method for each thing that happens."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from prometheus_client import (
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    disable_created_metrics,
    generate_latest,
)
from prometheus_client.registry import Collector

from timbre_contract import operator_metrics as specs
from timbre_contract.metrics import MetricSpec

CONTENT_TYPE: Final = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """All metrics of one operator, in a registry of its own (never the process-wide one)."""

    def __init__(self) -> None:
        disable_created_metrics()  # type: ignore[no-untyped-call]  # process-wide; a `_created` series beside each counter doubles a scrape for nothing
        self.registry = CollectorRegistry(auto_describe=False)
        self._leader = self._gauge(specs.LEADER)
        self._services = self._gauge(specs.SERVICES)
        self._reconciles = self._counter(specs.RECONCILES)
        self._duration = self._histogram(specs.RECONCILE_DURATION)
        self._queue_depth = self._gauge(specs.QUEUE_DEPTH)
        self._queue_age = self._gauge(specs.QUEUE_AGE)
        self._watch_age = self._gauge(specs.WATCH_AGE)
        self._missed = self._counter(specs.WATCH_MISSED)
        self._drift = self._counter(specs.DRIFT_CORRECTIONS)
        self._requests = self._counter(specs.API_REQUESTS)
        self._scrapes = self._counter(specs.SCRAPES)
        self._metrics_api = self._counter(specs.METRICS_API_REQUESTS)
        for result in ("ok", "error"):
            self._reconciles.labels(result)  # a rate needs the zero before the first count

    def _counter(self, spec: MetricSpec) -> Counter:
        return Counter(spec.name, spec.help, spec.labels, registry=self.registry)

    def _gauge(self, spec: MetricSpec) -> Gauge:
        return Gauge(spec.name, spec.help, spec.labels, registry=self.registry)

    def _histogram(self, spec: MetricSpec) -> Histogram:
        return Histogram(spec.name, spec.help, spec.labels, buckets=spec.buckets, registry=self.registry)

    def watch_leadership(self, held: Callable[[], bool]) -> None:
        """Reads whether this replica writes whenever somebody scrapes."""
        self._leader.set_function(held)

    def watch_queue(self, depth: Callable[[], int], oldest_seconds: Callable[[], float]) -> None:
        """Reads the queue's gauges from these whenever somebody scrapes."""
        self._queue_depth.set_function(depth)
        self._queue_age.set_function(oldest_seconds)

    def watch_cluster(self, services: Callable[[], int], idle_seconds: Callable[[], float]) -> None:
        """Reads what the watches know whenever somebody scrapes."""
        self._services.set_function(services)
        self._watch_age.set_function(idle_seconds)

    def add(self, collector: Collector) -> None:
        """Metrics that are made at each scrape."""
        self.registry.register(collector)

    def reconciled(self, result: str, seconds: float) -> None:
        """A reconciliation ended: ok or error."""
        self._reconciles.labels(result).inc()
        self._duration.observe(seconds)

    def drift_corrected(self, kind: str) -> None:
        """Somebody else had changed or deleted an object of this kind, and it was put right."""
        self._drift.labels(kind).inc()

    def watch_missed(self, kind: str) -> None:
        """A list had an object that the watch had not told of."""
        self._missed.labels(kind).inc()

    def request_done(self, method: str, outcome: str) -> None:
        """A request to the API server ended: ok, or with this reason."""
        self._requests.labels(method, outcome).inc()

    def scraped(self, result: str) -> None:
        """A pod of a service was asked for its load: ok or failed."""
        self._scrapes.labels(result).inc()

    def metrics_api_answered(self, status: int) -> None:
        """A request to custom.metrics.k8s.io was answered."""
        self._metrics_api.labels(str(status)).inc()

    def text(self) -> bytes:
        """What ``/metrics`` answers."""
        return generate_latest(self.registry)
