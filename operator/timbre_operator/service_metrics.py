"""What do the statuses of VoiceServices look like as metrics, so that one dashboard and one alert see all of them?"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from prometheus_client import Metric
from prometheus_client.core import GaugeMetricFamily
from prometheus_client.registry import Collector

from timbre_contract import operator_metrics as specs
from timbre_contract.metrics import MetricSpec
from timbre_operator.ports import Live, SeriesSource, ServiceKey

_STATES: Final = {"desired": "desiredReplicas", "existing": "replicas", "ready": "readyReplicas"}


class ServiceMetrics(Collector):
    """Made anew at each scrape from what watches and scrapes know: a service that is gone leaves nothing behind."""

    def __init__(self, live: Live, series: SeriesSource | None = None) -> None:
        self._live = live
        self._series = series

    def collect(self) -> Iterator[Metric]:
        replicas, conditions = _family(specs.SERVICE_REPLICAS), _family(specs.SERVICE_CONDITION)
        series, decisions = _family(specs.SERVICE_SERIES), _family(specs.SERVICE_DECISION)
        for key, manifest in self._live.services().items():
            own = (key.namespace, key.name)
            status: Mapping[str, Any] = manifest.get("status") or {}
            for state, field in _STATES.items():
                if (number := status.get(field)) is not None:
                    replicas.add_metric((*own, state), number)
            for condition in status.get("conditions") or ():
                conditions.add_metric((*own, condition["type"], condition["status"], condition["reason"]), 1)
            for name, value in self._values(key).items():
                series.add_metric((*own, name), value)
            for last in ((status.get("autoscaling") or {}).get("decisions") or ())[:1]:
                decisions.add_metric((*own, last["reason"]), 1)
        yield from (replicas, conditions, series, decisions)

    def _values(self, key: ServiceKey) -> Mapping[str, float]:
        return (self._series.series(key) if self._series else None) or {}


def _family(spec: MetricSpec) -> GaugeMetricFamily:
    return GaugeMetricFamily(spec.name, spec.help, labels=spec.labels)
