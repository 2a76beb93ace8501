"""A control plane that knows Timbre's CRD, two fake nodes on it, and a terminal for a page."""

from __future__ import annotations

import json
import os
import shutil
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final
from urllib.parse import urlsplit

import pytest
import yaml

from examples.local_server import LocalServer
from tests.cluster.api import Api
from tests.cluster.control_plane import ROOT, ControlPlane, Tools
from tests.cluster.fake_node import FakeNode
from tests.cluster.fake_volumes import build_storage_classes
from tests.docs.terminal import Door, Terminal
from timbre_contract.api import ADMIN_PORT, API_PORT

SYSTEM: Final = "timbre-system"
"""The release's namespace in all pages; services live in ``default``."""


@pytest.fixture
def _curl() -> None:
    """Pages call the API with it, and a fresh machine may have none."""
    if shutil.which("curl") is None and not os.environ.get("CI"):
        pytest.skip("curl is not installed, and the pages call the API with it")


@pytest.fixture
def new_cluster(tmp_path: Path) -> Iterator[ControlPlane]:
    """The CRD of a release that was there is known before the controllers start: they look for new kinds every 30 seconds
    only, and would collect no garbage until then."""
    cluster = ControlPlane(Tools(), tmp_path / "control-plane")
    try:
        items = [*build_storage_classes(), _kept_crd()]
        listed = json.dumps({"kind": "List", "apiVersion": "v1", "items": items})
        cluster.kubectl("create", "--filename=-", stdin=listed)
        cluster.start_controllers()
        yield cluster
    finally:
        cluster.close()


def _kept_crd() -> dict[str, Any]:
    """With what Helm knows its own by, or the pages' release would be refused."""
    crd: dict[str, Any] = yaml.safe_load((ROOT / "crds" / "voiceservices.yaml").read_text("utf-8"))
    crd["metadata"] |= {
        "labels": {"app.kubernetes.io/managed-by": "Helm"},
        "annotations": {"meta.helm.sh/release-name": "timbre", "meta.helm.sh/release-namespace": SYSTEM},
    }
    return crd


@dataclass(frozen=True)
class Site:
    """The cluster with its fake nodes: where services live, and where the operator does."""

    cluster: ControlPlane
    api: Api
    node: FakeNode

    async def service(self) -> tuple[str, int]:
        """Of the one that all pages make."""
        found = await self.api.fetch("v1/Service", "default", "narrator")
        return found["spec"]["clusterIP"], API_PORT

    async def admin_port(self) -> tuple[str, int]:
        """Of one of its pods."""
        return self.node.with_labels(component="server", instance="narrator")[0].address, ADMIN_PORT


@pytest.fixture
async def site(new_cluster: ControlPlane, tmp_path: Path) -> AsyncIterator[Site]:
    """Pods run in the two namespaces of the pages."""
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(Api(new_cluster.admin))
        node = await stack.enter_async_context(FakeNode(new_cluster, "default", tmp_path / "node"))
        system = await stack.enter_async_context(FakeNode(new_cluster, SYSTEM, tmp_path / "system-node"))
        (system.names / "default").symlink_to(node.names / "default")  # the operator finds the other node's Services
        yield Site(new_cluster, api, node)


@pytest.fixture
async def cluster_terminal(_curl: None, site: Site, tmp_path: Path) -> AsyncIterator[Terminal]:
    """Port 8000 is that of the Service, 9000 the admin port of a pod."""
    async with Door(site.service) as service, Door(site.admin_port) as admin:
        yield Terminal(tmp_path / "terminal", site.cluster.environment(), {API_PORT: service, ADMIN_PORT: admin})


@pytest.fixture
async def readme_terminal(_curl: None, site: Site, tmp_path: Path) -> AsyncIterator[Terminal]:
    """Port 8000 is that of a server beside the cluster, with the engine that a reader gets: the fake node has another one."""
    with LocalServer() as server:
        place = urlsplit(server.url)
        assert place.hostname
        assert place.port
        address = place.hostname, place.port

        async def beside() -> tuple[str, int]:
            return address

        async with Door(beside) as door:
            yield Terminal(tmp_path / "terminal", site.cluster.environment(), {API_PORT: door})
