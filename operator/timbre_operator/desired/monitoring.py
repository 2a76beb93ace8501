"""What is Prometheus' operator told about the service: what to scrape, and by which rules to call somebody?"""

from __future__ import annotations

from typing import Final, Literal

from timbre_contract import api, labels
from timbre_operator.desired.alerts import SERVICE_LABEL, build_alerts
from timbre_operator.desired.inputs import Inputs, Manifest
from timbre_operator.desired.ownership import child
from timbre_operator.observed import OptionalKind
from timbre_operator.voiceservice.names import REDIS_SUFFIX

EXPORTER_PORT: Final = "metrics"
"""Name of the port of the managed Redis' exporter."""
_API_VERSION: Final = "monitoring.coreos.com/v1"
_INTERVAL: Final = "15s"
"""Of most installations of Prometheus; a rate over [1m] then has four points."""


def build_pod_monitor(inputs: Inputs) -> Manifest | None:
    """What to scrape of the server; None where it is not wanted or the kind is missing."""
    return _pod_monitor(inputs, labels.SERVER_COMPONENT, "admin") if _scraped(inputs) else None


def build_redis_pod_monitor(inputs: Inputs) -> Manifest | None:
    """The same of a managed Redis, by its exporter."""
    managed = inputs.service.managed_redis
    if not _scraped(inputs) or managed is None or not managed.exports:
        return None
    return _pod_monitor(inputs, labels.REDIS_COMPONENT, EXPORTER_PORT, suffix=REDIS_SUFFIX)


def build_prometheus_rule(inputs: Inputs) -> Manifest | None:
    """When to call somebody; None where it is not wanted or the kind is missing."""
    service = inputs.service
    if not _wanted(service.spec.monitoring.prometheus_rule, OptionalKind.PROMETHEUS_RULE, inputs):
        return None
    rules = build_alerts(service, scraped=_scraped(inputs))
    spec = {"groups": [{"name": f"timbre-{service.namespace}-{service.name}", "rules": rules}]}
    return child(service, _API_VERSION, "PrometheusRule", component=labels.SERVER_COMPONENT, spec=spec)


def _pod_monitor(inputs: Inputs, component: str, port: str, *, suffix: str = "") -> Manifest:
    service = inputs.service
    spec = {
        "selector": {"matchLabels": labels.selector(service.name, component)},
        "podMetricsEndpoints": [
            {
                "port": port,
                "path": api.METRICS_PATH,
                "interval": _INTERVAL,
                "relabelings": [{"action": "replace", "targetLabel": SERVICE_LABEL, "replacement": service.name}],
            }
        ],
    }
    return child(service, _API_VERSION, "PodMonitor", suffix=suffix, component=component, spec=spec)


def _scraped(inputs: Inputs) -> bool:
    return _wanted(inputs.service.spec.monitoring.pod_monitor, OptionalKind.POD_MONITOR, inputs)


def _wanted(choice: Literal["Auto", "Enabled", "Disabled"], kind: OptionalKind, inputs: Inputs) -> bool:
    """Enabled without the kind makes nothing either; status says so."""
    return choice != "Disabled" and kind in inputs.kinds
