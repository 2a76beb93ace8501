"""Deployment, Services, account and disruption budget, to the letter."""

from __future__ import annotations

import pytest

from tests.operator.desired.children import children_of
from tests.operator.manifests import a_service

_SELECTOR = {
    "app.kubernetes.io/name": "timbre",
    "app.kubernetes.io/instance": "narrator",
    "app.kubernetes.io/component": "server",
}


def test_clients_find_the_api_under_the_name_of_the_service() -> None:
    assert children_of(a_service())["Service/narrator"]["spec"] == {
        "type": "ClusterIP",
        "selector": _SELECTOR,
        "ports": [{"name": "http", "port": 8000, "targetPort": "http", "protocol": "TCP"}],
    }


def test_scrapers_find_every_pod_ready_or_not() -> None:
    spec = children_of(a_service())["Service/narrator-headless"]["spec"]
    assert (spec["clusterIP"], spec["publishNotReadyAddresses"]) == ("None", True)
    assert [port["port"] for port in spec["ports"]] == [8000, 9000]


@pytest.mark.parametrize("autoscaler", ["HPA", "KEDA", "External"])
def test_replicas_belong_to_who_scales(autoscaler: str) -> None:
    service = a_service().with_spec(replicas=7).scaled_by(autoscaler)
    assert "replicas" not in children_of(service)["Deployment/narrator"]["spec"]


def test_replicas_are_written_where_nobody_scales() -> None:
    service = a_service().with_spec(replicas=7).scaled_by("None")
    assert children_of(service)["Deployment/narrator"]["spec"]["replicas"] == 7


@pytest.mark.parametrize(
    ("strategy", "rolling"),
    [("Surge", {"maxSurge": 1, "maxUnavailable": 0}), ("Replace", {"maxSurge": 0, "maxUnavailable": 1})],
)
def test_a_rollout_needs_a_spare_gpu_or_a_gap(strategy: str, rolling: dict[str, int]) -> None:
    spec = children_of(a_service().with_spec(rollout={"strategy": strategy}))["Deployment/narrator"]["spec"]
    assert spec["strategy"] == {"type": "RollingUpdate", "rollingUpdate": rolling}


def test_a_slow_start_is_no_failed_rollout() -> None:
    spec = children_of(a_service().with_spec(rollout={"startBudget": "20m"}))["Deployment/narrator"]["spec"]
    assert spec["progressDeadlineSeconds"] == 20 * 60 + 60 + 600


def test_the_account_has_no_token() -> None:
    assert children_of(a_service())["ServiceAccount/narrator"]["automountServiceAccountToken"] is False


def test_two_pods_are_never_away_at_once() -> None:
    children = children_of(a_service().scaled_by("HPA", minReplicas=2))
    assert children["PodDisruptionBudget/narrator"]["spec"] == {
        "maxUnavailable": 1,
        "unhealthyPodEvictionPolicy": "AlwaysAllow",
        "selector": {"matchLabels": _SELECTOR},
    }


def test_a_single_pod_does_not_block_the_drain_of_its_node() -> None:
    assert "PodDisruptionBudget/narrator" not in children_of(a_service())
    assert "PodDisruptionBudget/narrator" not in children_of(a_service().scaled_by("None", minReplicas=3))
