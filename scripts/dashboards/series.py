"""Which series does a dashboard ask for?  Those of one service, or of the operators of one namespace."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from scripts.dashboards.panels import Query
from timbre_contract.metrics import MetricSpec
from timbre_operator.desired.alerts import SERVICE_LABEL


@dataclass(frozen=True)
class Scope:
    """Whose series."""

    matchers: str

    def of(self, metric: MetricSpec | str, *more: str) -> str:
        """Its series of a metric, or of a part of one (``..._bucket``)."""
        name = metric if isinstance(metric, str) else metric.name
        return f"{name}{{{','.join((self.matchers, *more))}}}"

    def rate(self, metric: MetricSpec | str, *more: str, by: str = "") -> str:
        """Per second, over all pods."""
        rates = f"(rate({self.of(metric, *more)}[$__rate_interval]))"
        return f"sum by ({by}) {rates}" if by else f"sum{rates}"

    def quantiles(self, metric: MetricSpec, *more: str) -> tuple[Query, Query, Query]:
        """The middle, and the slow ones, of a histogram."""
        buckets = self.rate(f"{metric.name}_bucket", *more, by="le")
        middle, slow, slowest = (
            Query(f"histogram_quantile(0.{share}, {buckets})", f"P{share}") for share in (50, 95, 99)
        )
        return middle, slow, slowest


SERVICE: Final = Scope(f'namespace="$namespace",{SERVICE_LABEL}="$voiceservice"')
OPERATOR: Final = Scope('job="timbre-operator",namespace="$namespace"')
EVERY_SERVICE: Final = Scope('job="timbre-operator"')
"""What operators tell of services; these series have the service's namespace."""
