"""What ``/metrics`` of an operator looks like, made from the contract: one sample of each series that there can be."""

from __future__ import annotations

from itertools import product
from typing import Final

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest

from timbre_contract.metrics import MetricKind, MetricSpec
from timbre_contract.operator_metrics import OPERATOR_METRICS

_VALUES: Final = {
    "result": ("ok", "error", "failed"),
    "kind": ("Deployment", "Service"),
    "status": ("200", "False", "True"),
    "namespace": ("studio",),
    "voiceservice": ("narrator",),
    "state": ("ready", "existing", "desired"),
    "type": ("Ready", "Degraded", "AutoscalingActive"),
    "reason": ("PodUnschedulable",),
    "method": ("PATCH",),
    "outcome": ("ok", "Conflict"),
    "series": ("timbre_queue_depth", "timbre_work_seconds"),
}


def operator_exposition() -> str:
    """In Prometheus' text format."""
    registry = CollectorRegistry()
    for spec in OPERATOR_METRICS:
        _add(spec, registry)
    return generate_latest(registry).decode()


def _add(spec: MetricSpec, registry: CollectorRegistry) -> None:
    label_values = product(*(_VALUES[label] for label in spec.labels))
    match spec.kind:
        case MetricKind.COUNTER:
            counter = Counter(spec.name, spec.help, spec.labels, registry=registry)
            for values in label_values:
                (counter.labels(*values) if values else counter).inc()
        case MetricKind.GAUGE:
            gauge = Gauge(spec.name, spec.help, spec.labels, registry=registry)
            for number, values in enumerate(label_values, start=1):
                (gauge.labels(*values) if values else gauge).set(number)
        case MetricKind.HISTOGRAM:
            histogram = Histogram(spec.name, spec.help, spec.labels, registry=registry, buckets=spec.buckets)
            histogram.observe(spec.buckets[0])
