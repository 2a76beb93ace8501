"""One control plane for the session, a namespace for each test, and the fake node that runs its pods."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Iterator
from itertools import count
from typing import Final

import pytest
from kubernetes.aio import client, config

from tests.cluster.api import Api
from tests.cluster.control_plane import ROOT, ControlPlane, Tools

_NAMESPACES = count(1)
_CRDS: Final = (
    "keda/keda.sh_scaledobjects.yaml",
    "prometheus-operator/monitoring.coreos.com_podmonitors.yaml",
    "prometheus-operator/monitoring.coreos.com_prometheusrules.yaml",
)
"""Other projects' kinds that the operator makes objects of."""


@pytest.fixture(scope="session")
def control_plane(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """Started by the first test that asks for it, in about 5 s; knows VoiceServices, ScaledObjects and the like."""
    running = ControlPlane(Tools(), tmp_path_factory.mktemp("control-plane"))
    try:
        running.install(ROOT / "crds" / "voiceservices.yaml", *(running.tools.crds / name for name in _CRDS))
        running.start_controllers()
        yield running
    finally:
        running.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A test that fails shows the end of the control plane's logs, and where they are."""
    report: pytest.TestReport = yield  # type: ignore[misc,assignment]
    running = getattr(item, "funcargs", {}).get("control_plane")
    if report.failed and isinstance(running, ControlPlane):
        report.sections += [(path, text) for path, text in running.log_tails()]
    return report  # type: ignore[return-value]


@pytest.fixture
async def api(control_plane: ControlPlane) -> AsyncIterator[Api]:
    """Plain objects, as an administrator."""
    async with Api(control_plane.admin) as access:
        yield access


@pytest.fixture
async def client_of_admin(control_plane: ControlPlane) -> AsyncIterator[client.ApiClient]:
    """Kubernetes' own client, as an administrator."""
    async with await config.new_client_from_config(str(control_plane.admin)) as access:
        yield access


@pytest.fixture
async def namespace(api: Api) -> AsyncIterator[str]:
    """One that no other test uses; its pods must meet the Pod Security Standard "restricted"."""
    name = f"test-{os.getpid()}-{next(_NAMESPACES)}"
    labels = {"pod-security.kubernetes.io/enforce": "restricted"}
    made = await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": labels}})
    # Pods are refused until their namespace has its account.
    await api.until("v1/ServiceAccount", name, "default", lambda account: account)
    yield name
    await api.delete(made)
