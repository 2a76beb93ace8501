"""Kinds that are installed after the operator, and taken away under it: nobody has to restart anything."""

from __future__ import annotations

import pytest

from tests.cluster.api import Api, ApiError, Object
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fake_node import FakeNode
from tests.cluster.operator_process import OperatorHome
from tests.cluster.watching import condition, eventually, is_ready, says, turned, until_service, write
from tests.operator.manifests import a_service

POD_MONITOR = "monitoring.coreos.com/v1/PodMonitor"
CRD = "apiextensions.k8s.io/v1/CustomResourceDefinition"
NAME = "podmonitors.monitoring.coreos.com"
MANUAL = a_service().scaled_by("None")


@pytest.fixture(autouse=True)
def light_pods(fake_node: FakeNode) -> None:
    """Servers' pods answer probes only."""
    fake_node.light = True


async def _is_served(api: Api, namespace: str) -> bool:
    """Some time after its CRD is there."""
    try:
        await api.find(POD_MONITOR, namespace)
    except ApiError as error:
        if error.status not in {404, 503}:
            raise
        return False
    return True


async def test_a_kind_that_goes_and_comes_back_is_used_again(
    api: Api, namespace: str, operator_home: OperatorHome, control_plane: ControlPlane
) -> None:
    await operator_home.allow(namespace)
    running = await operator_home.start(namespace, options=("--no-metrics-api", "--resync-seconds=5"))
    await write(api, namespace, MANUAL)
    await until_service(api, namespace, is_ready)
    crd = await api.fetch(CRD, "", NAME)
    await api.delete(crd | {"apiVersion": "apiextensions.k8s.io/v1", "kind": "CustomResourceDefinition"})
    try:
        await api.until(CRD, "", NAME, None, gone=True)
        # What the cluster cannot do is said where it was asked for, and is no reason not to do the rest.
        await write(api, namespace, MANUAL.with_spec(monitoring={"podMonitor": "Enabled"}, replicas=2))
        await until_service(api, namespace, lambda s: s["status"].get("readyReplicas") == 2)
    finally:
        control_plane.install(
            control_plane.tools.crds / "prometheus-operator" / "monitoring.coreos.com_podmonitors.yaml"
        )
    await eventually(lambda: _is_served(api, namespace))
    await api.until(POD_MONITOR, namespace, "narrator", lambda found: found)
    await until_service(api, namespace, lambda s: is_ready(s) and condition(s, "Degraded")["status"] == "False")

    # It is watched again too: what somebody removes comes back, long before the next resync.
    monitor = await api.fetch(POD_MONITOR, namespace, "narrator")
    await api.delete(monitor | {"apiVersion": "monitoring.coreos.com/v1", "kind": "PodMonitor"})
    await api.until(
        POD_MONITOR, namespace, "narrator", lambda found: found["metadata"]["uid"] != monitor["metadata"]["uid"]
    )
    assert running.process.returncode is None


async def test_a_group_that_does_not_answer_costs_only_who_uses_it(
    api: Api, namespace: str, operator_home: OperatorHome
) -> None:
    """As where its APIService leads to an adapter that is gone; the API server answers 503 for the group then."""
    await operator_home.allow(namespace)
    running = await operator_home.start(namespace, options=("--no-metrics-api", "--resync-seconds=5"))
    await write(api, namespace, MANUAL)
    await until_service(api, namespace, is_ready)
    monitor = await api.fetch(POD_MONITOR, namespace, "narrator")
    gone = {"name": "nobody", "namespace": "default", "port": 443}
    await api.patch(await _registration(api), _led_to(gone))
    try:
        service = await until_service(api, namespace, says("Degraded", "APIServerUnavailable"))
        assert "podmonitors.monitoring.coreos.com can be neither read" in condition(service, "Degraded")["message"]
        # Resyncs go on, and so does everything else.
        removed = await api.fetch("v1/Service", namespace, "narrator")
        await turned(running, 3)
        await write(api, namespace, MANUAL.with_spec(replicas=2))
        await until_service(api, namespace, lambda s: s["status"].get("readyReplicas") == 2)
        assert (await api.fetch("v1/Service", namespace, "narrator"))["metadata"]["uid"] == removed["metadata"]["uid"]
        assert await running.is_ready()
    finally:
        await api.delete(await _registration(api))  # the API server makes its own anew
        await eventually(lambda: _is_served(api, namespace))
    await until_service(api, namespace, lambda s: is_ready(s) and condition(s, "Degraded")["status"] == "False")
    assert (await api.fetch(POD_MONITOR, namespace, "narrator"))["metadata"]["uid"] == monitor["metadata"]["uid"]


async def _registration(api: Api) -> Object:
    found = await api.fetch("apiregistration.k8s.io/v1/APIService", "", "v1.monitoring.coreos.com")
    return found | {"apiVersion": "apiregistration.k8s.io/v1", "kind": "APIService"}


def _led_to(service: Object) -> Object:
    """Without the mark by which the API server puts it right again."""
    return {
        "metadata": {"labels": {"kube-aggregator.kubernetes.io/automanaged": None}},
        "spec": {"service": service, "insecureSkipTLSVerify": True},
    }
