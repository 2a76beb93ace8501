"""Each VoiceService in the operator's metrics: its pods, its conditions, what its autoscaler is told and did last."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from prometheus_client.parser import text_string_to_metric_families

from timbre_contract.operator_metrics import SERVICE_CONDITION, SERVICE_DECISION, SERVICE_REPLICAS, SERVICE_SERIES
from timbre_operator.metrics import Metrics
from timbre_operator.observed import Manifest
from timbre_operator.ports import ServiceKey
from timbre_operator.service_metrics import ServiceMetrics

PREFIX = "timbre_operator_service_"
NARRATOR = ServiceKey("studio", "narrator")
STATUS = {
    "desiredReplicas": 3,
    "replicas": 2,
    "readyReplicas": 0,
    "conditions": [
        {"type": "Ready", "status": "False", "reason": "InsufficientGPU"},
        {"type": "RedisReady", "status": "True", "reason": "Reachable"},
    ],
    "autoscaling": {"decisions": [{"reason": "ExtractionWork"}, {"reason": "QueueDepth"}]},
}


class FakeLive:
    """Services that are there, and nothing else."""

    def __init__(self, **statuses: Mapping[str, Any]) -> None:
        self.known: dict[ServiceKey, Manifest] = {
            ServiceKey("studio", name): {"kind": "VoiceService", **({"status": status} if status else {})}
            for name, status in statuses.items()
        }

    def services(self) -> Mapping[ServiceKey, Manifest]:
        return self.known

    def pods(self, key: ServiceKey) -> tuple[Manifest, ...]:
        return ()


class FakeSeries:
    """A fixed answer for the narrator."""

    def services(self) -> Sequence[ServiceKey]:
        return (NARRATOR,)

    def series(self, key: ServiceKey) -> Mapping[str, float] | None:
        return {"timbre_queue_depth": 4.0, "timbre_work_seconds": 0.5} if key == NARRATOR else None


def _exposed(live: FakeLive, series: FakeSeries | None = None) -> dict[tuple[str, ...], float]:
    """Values by what tells them apart: the metric without its prefix, then its labels beside the service's."""
    metrics = Metrics()
    metrics.add(ServiceMetrics(live, series))
    found = {}
    for family in text_string_to_metric_families(metrics.text().decode()):
        for sample in family.samples:
            if family.name.startswith(PREFIX):
                assert (sample.labels.pop("namespace"), sample.labels.pop("voiceservice")) == ("studio", "narrator")
                found[(sample.name.removeprefix(PREFIX), *sample.labels.values())] = sample.value
    return found


def test_a_service_shows_its_pods_its_conditions_and_its_last_decision() -> None:
    assert _exposed(FakeLive(narrator=STATUS), FakeSeries()) == {
        ("replicas", "desired"): 3,
        ("replicas", "existing"): 2,
        ("replicas", "ready"): 0,
        ("condition", "InsufficientGPU", "False", "Ready"): 1,
        ("condition", "Reachable", "True", "RedisReady"): 1,
        ("series", "timbre_queue_depth"): 4,
        ("series", "timbre_work_seconds"): 0.5,
        ("decision", "ExtractionWork"): 1,
    }


def test_a_service_that_was_just_made_shows_nothing_yet() -> None:
    assert _exposed(FakeLive(narrator={})) == {}


def test_a_service_that_is_gone_leaves_nothing_behind() -> None:
    live, metrics = FakeLive(narrator=STATUS), Metrics()
    metrics.add(ServiceMetrics(live))
    assert b'voiceservice="narrator"' in metrics.text()
    live.known.clear()
    assert b'voiceservice="narrator"' not in metrics.text()


def test_the_metrics_are_those_of_the_contract() -> None:
    families = {family.name: family for family in ServiceMetrics(FakeLive(narrator=STATUS)).collect()}
    for spec in (SERVICE_REPLICAS, SERVICE_CONDITION, SERVICE_SERIES, SERVICE_DECISION):
        assert families[spec.name].documentation == spec.help
