"""HPA and ScaledObject, to the letter."""

from __future__ import annotations

import pytest

from tests.operator.desired.children import children_of
from tests.operator.manifests import a_service

_OBJECT = {"apiVersion": "timbre.dev/v1alpha1", "kind": "VoiceService", "name": "narrator"}
_TARGET = {"apiVersion": "apps/v1", "kind": "Deployment", "name": "narrator"}


def test_the_hpa_follows_the_service_s_own_series() -> None:
    service = a_service().scaled_by("HPA", minReplicas=2, maxReplicas=9, targets={"utilizationPercent": 65})
    spec = children_of(service)["HorizontalPodAutoscaler/narrator"]["spec"]
    assert spec["scaleTargetRef"] == _TARGET
    assert (spec["minReplicas"], spec["maxReplicas"]) == (2, 9)
    assert spec["metrics"] == [
        {
            "type": "Object",
            "object": {
                "describedObject": _OBJECT,
                "metric": {"name": series},
                "target": {"type": "AverageValue", "averageValue": target},
            },
        }
        for series, target in [("timbre_queue_depth", "16"), ("timbre_work_seconds", "650m")]
    ]


def test_upwards_at_once_and_downwards_slowly() -> None:
    behavior = children_of(a_service())["HorizontalPodAutoscaler/narrator"]["spec"]["behavior"]
    assert behavior == {
        "scaleUp": {
            "stabilizationWindowSeconds": 0,
            "selectPolicy": "Max",
            "policies": [
                {"type": "Percent", "value": 100, "periodSeconds": 15},
                {"type": "Pods", "value": 2, "periodSeconds": 15},
            ],
        },
        "scaleDown": {
            "stabilizationWindowSeconds": 300,
            "selectPolicy": "Min",
            "policies": [{"type": "Pods", "value": 1, "periodSeconds": 120}],
        },
    }


def test_a_direction_that_is_written_replaces_ours() -> None:
    service = a_service().scaled_by("HPA", behavior={"scaleDown": {"selectPolicy": "Disabled"}})
    behavior = children_of(service)["HorizontalPodAutoscaler/narrator"]["spec"]["behavior"]
    assert behavior["scaleDown"] == {"selectPolicy": "Disabled"}
    assert behavior["scaleUp"]["selectPolicy"] == "Max"


@pytest.mark.parametrize(("percent", "hpa", "keda"), [(100, "1", "1.00"), (5, "50m", "0.05"), (70, "700m", "0.70")])
def test_a_share_is_written_as_its_reader_reads_it(percent: int, hpa: str, keda: str) -> None:
    by_hpa = a_service().scaled_by("HPA", targets={"utilizationPercent": percent})
    metric = children_of(by_hpa)["HorizontalPodAutoscaler/narrator"]["spec"]["metrics"][1]
    assert metric["object"]["target"]["averageValue"] == hpa
    by_keda = a_service().scaled_by("KEDA", targets={"utilizationPercent": percent})
    trigger = children_of(by_keda)["ScaledObject/narrator"]["spec"]["triggers"][1]
    assert trigger["metadata"]["targetValue"] == keda


def test_keda_reads_the_same_series() -> None:
    spec = children_of(a_service().scaled_by("KEDA", minReplicas=2, maxReplicas=3))["ScaledObject/narrator"]["spec"]
    assert spec["scaleTargetRef"] == _TARGET
    assert (spec["minReplicaCount"], spec["maxReplicaCount"]) == (2, 3)
    assert spec["fallback"] == {"failureThreshold": 3, "replicas": 2, "behavior": "currentReplicasIfHigher"}
    assert spec["triggers"][0] == {
        "type": "metrics-api",
        "name": "timbre-queue-depth",
        "metricType": "AverageValue",
        "metadata": {
            "url": "http://timbre-operator.timbre-system.svc:8080/series/studio/narrator/timbre_queue_depth",
            "valueLocation": "value",
            "targetValue": "16",
        },
    }
