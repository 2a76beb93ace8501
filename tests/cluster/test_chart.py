"""A release of the chart, its pods running: its own rights, arguments and registration are enough to look after services."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import pytest

from tests.chart.alert_rules import CHART
from tests.chart.helm import Helm, chosen
from tests.cluster.api import Api, Object
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fake_node import FakeNode
from tests.cluster.metrics_api import API_SERVICE, REGISTERED, is_available
from tests.cluster.watching import condition, until_service, write
from tests.operator.manifests import a_service

DEPLOYMENT = "apps/v1/Deployment"
_UNPRIVILEGED: Final = Path("/proc/sys/net/ipv4/ip_unprivileged_port_start")
_HTTPS: Final = 443
"""Of the operator's Service, to which the API server goes."""


def _may_listen() -> bool:
    return os.geteuid() == 0 or int(_UNPRIVILEGED.read_text()) <= _HTTPS


def _is_whole(deployment: Object) -> bool:
    return bool(deployment["status"].get("readyReplicas") == deployment["spec"]["replicas"])


def _endpoints(namespace: str) -> Object:
    """That the operator's Service has pods: the API server wants to see it, and goes to the Service's address then.

    Loopback addresses cannot stand here, so it is one that nobody has (RFC 5737) and that nobody is led to.
    """
    return {
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "metadata": {
            "name": "timbre-operator",
            "namespace": namespace,
            "labels": {"kubernetes.io/service-name": "timbre-operator"},
        },
        "addressType": "IPv4",
        "ports": [{"name": "metrics-api", "port": 8443, "protocol": "TCP"}],
        "endpoints": [{"addresses": ["192.0.2.1"], "conditions": {"ready": True}}],
    }


@asynccontextmanager
async def _a_release(api: Api, control_plane: ControlPlane, namespace: str, folder: Path) -> AsyncIterator[None]:
    """As its users install it, for one namespace; uninstalled after the block."""
    helm = Helm(folder, control_plane.environment())
    values = chosen(crds__install="false", scope="Namespaced")
    await asyncio.to_thread(helm, "install", "timbre", CHART, "--namespace", namespace, *values)
    try:
        await api.until(DEPLOYMENT, namespace, "timbre-operator", _is_whole)
        yield
    finally:
        await asyncio.to_thread(helm, "uninstall", "timbre", "--namespace", namespace)


@pytest.mark.skipif(not _may_listen(), reason="the Service of the metrics API is on port 443, which needs root here")
async def test_a_release_scales_services_by_its_own_metrics_and_leaves_them_running_when_it_goes(
    api: Api, namespace: str, fake_node: FakeNode, control_plane: ControlPlane, tmp_path: Path
) -> None:
    fake_node.light = True
    async with _a_release(api, control_plane, namespace, tmp_path):
        operators = [name for name in fake_node.pods if name.startswith("timbre-operator-")]
        assert len(operators) == 2
        await api.create(_endpoints(namespace))
        await api.until(API_SERVICE, "", REGISTERED, is_available)
        await write(api, namespace, a_service().scaled_by("HPA", maxReplicas=4))
        await until_service(api, namespace, lambda it: condition(it, "AutoscalingActive").get("status") == "True")

        (pod,) = fake_node.with_labels(component="server")
        fake_node.light_pod(pod.name).report({"timbre_queued_requests": 40})
        await api.until(DEPLOYMENT, namespace, "narrator", lambda it: it["spec"]["replicas"] == 3 and _is_whole(it))
    for name in operators:
        await api.until("v1/Pod", namespace, name, None, gone=True)
    assert _is_whole(await api.fetch(DEPLOYMENT, namespace, "narrator"))
    assert len(fake_node.with_labels(component="server")) == 3
