"""A release of the chart, its pods running: its own rights and arguments are enough to look after services."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.chart.alert_rules import CHART
from tests.chart.helm import Helm, chosen
from tests.cluster.api import Api, Object
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fake_node import FakeNode
from tests.cluster.watching import is_ready, until_service, write
from tests.operator.manifests import a_service

DEPLOYMENT = "apps/v1/Deployment"


def _is_whole(deployment: Object) -> bool:
    return bool(deployment["status"].get("readyReplicas") == deployment["spec"]["replicas"])


async def test_a_release_looks_after_services_and_leaves_them_running_when_it_goes(
    api: Api, namespace: str, fake_node: FakeNode, control_plane: ControlPlane, tmp_path: Path
) -> None:
    fake_node.light = True
    helm = Helm(tmp_path, control_plane.environment())
    # The metrics API has a test of its own: its port is open on every address of a machine, not on a pod's alone.
    values = chosen(crds__install="false", metricsApi__enabled="false", scope="Namespaced")
    await asyncio.to_thread(helm, "install", "timbre", CHART, "--namespace", namespace, *values)
    await api.until(DEPLOYMENT, namespace, "timbre-operator", _is_whole)
    await write(api, namespace, a_service().scaled_by("None"))
    await until_service(api, namespace, is_ready)

    operators = [name for name in fake_node.pods if name.startswith("timbre-operator-")]
    assert len(operators) == 2
    await asyncio.to_thread(helm, "uninstall", "timbre", "--namespace", namespace)
    for name in operators:
        await api.until("v1/Pod", namespace, name, None, gone=True)
    assert _is_whole(await api.fetch(DEPLOYMENT, namespace, "narrator"))
    assert len(fake_node.with_labels(component="server")) == 1
