"""Which series may dashboards and alerts name?  Those of the contract, and few of others with their source."""

from __future__ import annotations

import re
from typing import Final

from timbre_contract.metrics import SERVER_METRICS, MetricKind, MetricSpec
from timbre_contract.operator_metrics import OPERATOR_METRICS

API_SERVER: Final = frozenset({"aggregator_unavailable_apiservice"})
"""kube-aggregator's; tests/chart/test_install.py finds it on a real API server."""
EXPORTER: Final = frozenset({
    "redis_up", "redis_memory_used_bytes", "redis_memory_max_bytes", "redis_commands_processed_total",
    "redis_evicted_keys_total", "redis_keyspace_hits_total", "redis_keyspace_misses_total", "redis_aof_last_write_status",
    "redis_aof_enabled",
})  # fmt: skip
"""redis_exporter's, of those that it has; tests/chart/test_queries.py finds them."""

_OF_HISTOGRAMS: Final = ("_bucket", "_count", "_sum")
_WORDS: Final = frozenset({
    "sum", "max", "min", "avg", "count", "rate", "increase", "absent", "histogram_quantile", "max_over_time", "vector",
    "by", "on", "and", "or", "label_values",
})  # fmt: skip
"""Of PromQL, and of Grafana's variables; not a series each."""


def series_named(expression: str) -> set[str]:
    """Names of the series that an expression asks for."""
    without_matchers = re.sub(r"\{[^}]*\}|\[[^\]]*\]|\bby \([^)]*\)|\bon \([^)]*\)", "", expression)
    return set(re.findall(r"[a-z_]\w*", without_matchers)) - _WORDS


def known_series() -> frozenset[str]:
    """All that exist."""
    ours = [name for spec in (*SERVER_METRICS, *OPERATOR_METRICS) for name in _names(spec)]
    return frozenset(ours) | EXPORTER | API_SERVER


def labels_of(series: str) -> frozenset[str]:
    """Labels that a series of ours has by itself; the PodMonitors add who it is about."""
    for spec in (*SERVER_METRICS, *OPERATOR_METRICS):
        if series in _names(spec):
            return frozenset(spec.labels) | ({"le"} if series.endswith("_bucket") else set())
    return frozenset()


def _names(spec: MetricSpec) -> list[str]:
    return [spec.name + end for end in _OF_HISTOGRAMS] if spec.kind is MetricKind.HISTOGRAM else [spec.name]


_OTHERS_SAY: Final = frozenset(
    {"namespace", "voiceservice", "job", "pod", "route", "status", "type", "reason", "series"}
)
"""Labels whose values are HTTP's, a condition's or the PodMonitors'."""


def unknown_values(expression: str) -> list[str]:
    """Label values that an expression asks for, and that no metric with such a label lists in its description."""
    found = re.findall(r"(\w+)\{([^}]*)\}", expression)
    asked = {(series, *pair) for series, matchers in found for pair in re.findall(r'(\w+)="([^"]*)"', matchers)}
    return [
        f'{series}{{{label}="{value}"}}'
        for series, label, value in sorted(asked)
        if label in labels_of(series) - _OTHERS_SAY and not re.search(rf"\b{value}\b", _described(label))
    ]


def _described(label: str) -> str:
    return " ".join(spec.help for spec in (*SERVER_METRICS, *OPERATOR_METRICS) if label in spec.labels)
