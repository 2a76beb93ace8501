"""Metrics and their documentation cannot part."""

from pathlib import Path

from prometheus_client.parser import text_string_to_metric_families

from timbre_contract.metrics import SERVER_METRICS, MetricKind
from timbre_contract.operator_metrics import OPERATOR_METRICS
from timbre_operator.metrics import Metrics as OperatorMetrics
from timbre_operator.observed import Manifest
from timbre_operator.ports import ServiceKey
from timbre_operator.service_metrics import ServiceMetrics
from timbre_server.telemetry.metrics import Metrics

ROOT = Path(__file__).resolve().parents[2]


class NoServices:
    """A cluster without one."""

    def services(self) -> dict[ServiceKey, Manifest]:
        return {}

    def pods(self, key: ServiceKey) -> tuple[Manifest, ...]:
        return ()


def test_the_server_exports_exactly_the_metrics_of_the_contract() -> None:
    exported = {family.name: family for family in text_string_to_metric_families(Metrics().exposition().decode())}
    assert set(exported) == {spec.name.removesuffix("_total") for spec in SERVER_METRICS}
    for spec in SERVER_METRICS:
        family = exported[spec.name.removesuffix("_total")]
        assert family.type == spec.kind
        assert family.documentation == spec.help


def test_the_operator_exports_exactly_the_metrics_of_the_contract() -> None:
    metrics = OperatorMetrics()
    metrics.add(ServiceMetrics(NoServices()))
    exported = {family.name: family for family in text_string_to_metric_families(metrics.text().decode())}
    assert set(exported) == {spec.name.removesuffix("_total") for spec in OPERATOR_METRICS}
    for spec in OPERATOR_METRICS:
        family = exported[spec.name.removesuffix("_total")]
        assert (family.type, family.documentation) == (spec.kind, spec.help)


def test_names_follow_prometheus_conventions() -> None:
    for spec in (*SERVER_METRICS, *OPERATOR_METRICS):
        assert spec.name.startswith("timbre_")
        assert spec.name.endswith("_total") == (spec.kind is MetricKind.COUNTER)
        assert bool(spec.buckets) == (spec.kind is MetricKind.HISTOGRAM)
        assert list(spec.buckets) == sorted(spec.buckets)


def test_every_metric_is_documented() -> None:
    page = (ROOT / "docs" / "metrics.md").read_text("utf-8")
    specs = (*SERVER_METRICS, *OPERATOR_METRICS)
    assert [spec.name for spec in specs if f"`{spec.name}`" not in page] == []
