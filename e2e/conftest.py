"""Which cluster, which images, which namespace do the end-to-end tests have?"""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Callable, Generator, Iterator, Mapping
from pathlib import Path

import pytest

from e2e.installation import HOME, Installation
from e2e.kubectl import Kubectl, explain
from e2e.local_cluster import LocalCluster

ROOT = Path(__file__).resolve().parents[1]
FAILED = pytest.StashKey[bool]()
FIGURES = pytest.StashKey[dict[str, str]]()
# What every pod of ours must pass; the namespace enforces it.
RESTRICTED = {
    "pod-security.kubernetes.io/enforce": "restricted",
    "pod-security.kubernetes.io/enforce-version": "latest",
}


def pytest_configure(config: pytest.Config) -> None:
    config.addinivalue_line("markers", "short: one of the few that say most, for every change")
    config.addinivalue_line("markers", "last: ends the cluster, so that no test may follow")


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What ends the cluster comes last."""
    items.sort(key=lambda item: item.get_closest_marker("last") is not None)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    item.stash[FAILED] = item.stash.get(FAILED, False) or report.failed
    return report


@pytest.fixture(scope="session")
def measured(request: pytest.FixtureRequest) -> Callable[[str, float, str], None]:
    """Notes a figure, with its unit: the table at the end, and e2e-out/measured.json, have it."""
    figures = request.config.stash.setdefault(FIGURES, {})

    def note(what: str, value: float, unit: str) -> None:
        figures[what] = f"{value:.4g} {unit}"

    return note


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """What was measured, for people and for docs/e2e.md."""
    figures = config.stash.get(FIGURES, {})
    if not figures:
        return
    terminalreporter.section("measured")
    for what, value in figures.items():
        terminalreporter.line(f"{value:>16}  {what}")
    out = ROOT / "e2e-out"
    out.mkdir(exist_ok=True)
    (out / "measured.json").write_text(json.dumps(figures, indent=2) + "\n", "utf-8")


@pytest.fixture(scope="session")
def images() -> Mapping[str, str]:
    """References of what ``make images`` built."""
    printed = subprocess.run([ROOT / "scripts/images.sh", "--names"], capture_output=True, text=True, check=True).stdout
    found = dict(line.split() for line in printed.splitlines())
    assert {"server", "operator", "redis", "redis-exporter"} <= found.keys(), "run make images first"
    return found


@pytest.fixture(scope="session")
def cluster(images: Mapping[str, str], request: pytest.FixtureRequest) -> Iterator[LocalCluster]:  # noqa: ARG001 - they are imported at its start
    """The cluster of ``make cluster`` or of KUBE_CONTEXT; one that was started for the tests ends with them, unless KEEP=1."""
    capture = request.config.pluginmanager.getplugin("capturemanager")
    with capture.global_and_fixture_disabled():
        found = LocalCluster.up(ROOT)
    yield found
    if found.ends_with_tests:
        found.down()


@pytest.fixture(scope="session")
def kubectl(cluster: LocalCluster) -> Kubectl:
    """In no namespace."""
    return Kubectl(cluster.folder)


@pytest.fixture(scope="session")
def timbre(kubectl: Kubectl, images: Mapping[str, str]) -> Installation:
    """The operator, installed by its chart in a namespace that takes restricted pods only."""
    make_namespace(kubectl, HOME)
    installation = Installation(kubectl.within(HOME), ROOT / "charts" / "timbre", images)
    installation.install()
    return installation


def make_namespace(kubectl: Kubectl, name: str) -> None:
    kubectl.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": name, "labels": RESTRICTED}})


@pytest.fixture
def namespace(kubectl: Kubectl, request: pytest.FixtureRequest) -> Iterator[Kubectl]:
    """kubectl in a namespace of this test's own, which takes restricted pods only."""
    name = f"e2e-{re.sub('[^a-z0-9]+', '-', request.node.name.removeprefix('test_'))[:40].strip('-')}-{os.urandom(2).hex()}"
    make_namespace(kubectl, name)
    inside = kubectl.within(name)
    yield inside
    if request.node.stash.get(FAILED, False):
        print(explain(inside))
    kubectl("delete", "namespace", name, "--wait=false")
