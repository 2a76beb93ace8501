"""One control plane for the session, a namespace for each test, and the fake node that runs its pods."""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from itertools import count
from pathlib import Path
from typing import Final

import pytest
from kubernetes.aio import client, config

from tests.cluster.api import Api
from tests.cluster.coming_up import last_lines
from tests.cluster.control_plane import ROOT, ControlPlane, Tools
from tests.cluster.fake_node import FakeNode
from tests.cluster.fake_volumes import build_storage_classes
from tests.cluster.operator_process import OperatorHome, OperatorProcess

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
        running.kubectl(
            "create",
            "--filename=-",
            stdin=json.dumps({"kind": "List", "apiVersion": "v1", "items": build_storage_classes()}),
        )
        running.start_controllers()
        yield running
    finally:
        running.close()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item, call: pytest.CallInfo[None]) -> Iterator[None]:
    """A test that fails shows the ends of the logs of the control plane, of pods and of operators, and where they are."""
    report: pytest.TestReport = yield  # type: ignore[misc,assignment]
    if report.failed:
        used = getattr(item, "funcargs", {})
        running, folder = used.get("control_plane"), used.get("tmp_path")
        logs = [*running.logs.glob("*.log")] if isinstance(running, ControlPlane) else []
        logs += [*folder.rglob("*.log")] if isinstance(folder, Path) else []
        report.sections += [(str(file), "\n".join(last_lines(file))) for file in sorted(logs)]
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


@pytest.fixture
async def fake_node(control_plane: ControlPlane, namespace: str, tmp_path: Path) -> AsyncIterator[FakeNode]:
    """Runs the pods of the test's namespace."""
    async with FakeNode(control_plane, namespace, tmp_path / "node") as node:
        yield node


@pytest.fixture
async def operator_home(
    control_plane: ControlPlane, api: Api, fake_node: FakeNode, namespace: str, tmp_path: Path
) -> AsyncIterator[OperatorHome]:
    """Where operators run that work in the test's namespace: ``allow`` and ``start`` them."""
    async with OperatorHome(control_plane, api, f"{namespace}-system", tmp_path / "operators", fake_node.names) as home:
        yield home


@pytest.fixture
async def operator_process(operator_home: OperatorHome, namespace: str) -> OperatorProcess:
    """One operator, ready, for the test's namespace alone and with the rights of such an installation."""
    await operator_home.allow(namespace)
    return await operator_home.start(namespace)
