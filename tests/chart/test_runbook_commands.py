"""What runbooks tell people to do can be done: commands on a real cluster, words that logs say, panels that there are."""

from __future__ import annotations

import ast
import json
import logging
import re
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.chart.alert_rules import CHART, HOME
from tests.chart.helm import Helm
from tests.chart.panels import DASHBOARDS, panels
from tests.chart.runbook_commands import PAGES, POD, Command, commands
from tests.cluster.api import PATIENCE_SECONDS
from tests.cluster.control_plane import ROOT, ControlPlane, Tools
from tests.cluster.pod_programs import TIMBRE_OPERATOR
from timbre_operator.app.log import JsonFormatter as OperatorFormatter
from timbre_server.telemetry.log import JsonFormatter as ServerFormatter

SERVICE = {
    "apiVersion": "timbre.dev/v1alpha1",
    "kind": "VoiceService",
    "metadata": {"name": "narrator", "namespace": "studio"},
    "spec": {},
}
OPERATOR_PODS = "app.kubernetes.io/name=timbre-operator"
_LEVELS = {"debug", "info", "warning", "error", "exception", "critical"}
ON_PODS = {"logs", "port-forward", "top"}
"""Verbs that ask a kubelet, or what it measures."""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ControlPlane]:
    """With the release, a service, and all that controllers make of both; nothing runs, for there is no node."""
    running = ControlPlane(Tools(), tmp_path_factory.mktemp("runbooks"))
    try:
        _fill(running)
        yield running
    finally:
        running.close()


def _fill(cluster: ControlPlane) -> None:
    for namespace in (HOME, "studio"):
        cluster.kubectl("create", "namespace", namespace)
    Helm(cluster.folder, cluster.environment())("install", "timbre", CHART, "--namespace", HOME)
    cluster.start_controllers()
    _apply(cluster, json.dumps(SERVICE))
    without = ("--without=podmonitors.monitoring.coreos.com", "--without=prometheusrules.monitoring.coreos.com")
    rendered = subprocess.run(
        [TIMBRE_OPERATOR, "render", "-", *without],
        input=json.dumps(SERVICE),
        text=True,
        capture_output=True,
        check=True,
    )
    _apply(cluster, rendered.stdout)
    conditions = [
        {
            "type": type_,
            "status": "False",
            "reason": "X",
            "message": "words",
            "lastTransitionTime": "2026-01-01T00:00:00Z",
        }
        for type_ in ("Degraded", "AutoscalingActive")
    ]
    patch = json.dumps({"status": {"conditions": conditions}})
    cluster.kubectl(
        "patch", "voiceservice", "narrator", "-n", "studio", "--subresource=status", "--type=merge", f"--patch={patch}"
    )
    lease = {"apiVersion": "coordination.k8s.io/v1", "kind": "Lease", "metadata": {"name": "timbre-operator"}}
    cluster.kubectl("apply", "-n", HOME, "-f", "-", stdin=json.dumps(lease))
    _until_made(cluster)


def _apply(cluster: ControlPlane, manifests: str) -> None:
    cluster.kubectl("apply", "--server-side", "-f", "-", stdin=manifests)


def _until_made(cluster: ControlPlane) -> None:
    give_up = time.monotonic() + PATIENCE_SECONDS
    for namespace, selector in (
        (HOME, OPERATOR_PODS),
        ("studio", "app.kubernetes.io/component=server"),
        ("studio", "app.kubernetes.io/component=redis"),
    ):
        while not cluster.kubectl("get", "pods", "-n", namespace, "-l", selector, "-o", "name"):
            assert time.monotonic() < give_up, f"no pod {selector}"


def _pod(cluster: ControlPlane) -> str:
    selector = "app.kubernetes.io/component=server"
    return cluster.kubectl("get", "pods", "-n", "studio", "-l", selector, "-o", "name").split()[0].removeprefix("pod/")


@pytest.mark.parametrize("command", [one for one in commands() if one.verb not in ON_PODS], ids=str)
def test_a_command_shows_something(command: Command, cluster: ControlPlane) -> None:
    said = cluster.kubectl(*command.words)
    assert said or command.objects[0] == "events"  # a service about which nothing was said yet has none
    assert "<none>" not in said or "custom-columns" not in str(command)


@pytest.mark.parametrize("command", [one for one in commands() if one.verb in ON_PODS], ids=str)
def test_a_command_that_asks_pods_finds_them_with_their_containers_and_ports(
    command: Command, cluster: ControlPlane
) -> None:
    *kinds, last = command.objects or ("",)
    port = last if command.verb == "port-forward" else ""
    named = kinds[-1] if port else last if command.verb == "logs" or kinds else ""
    target = _pod(cluster) if named == POD else named
    kind = () if "/" in target else ("pods",)
    chosen = ("-l", command.option("-l")) if command.option("-l") else (target,)
    found = json.loads(cluster.kubectl("get", *kind, "-n", command.option("-n"), *chosen, "-o", "json"))
    for item in found.get("items", [found]):
        spec = item["spec"].get("template", item)["spec"]
        containers = {container["name"] for container in spec.get("containers", ())}
        assert command.option("-c") in {"", *containers}
        ports = {str(port["containerPort"]) for part in spec.get("containers", ()) for port in part.get("ports", ())}
        ports |= {str(port["port"]) for port in spec.get("ports", ())}
        assert port in {"", *ports}
    assert found.get("items", [found])


def _said_in_logs(folder: Path) -> Iterator[str]:
    """Texts of all calls that write a line."""
    for file in sorted(folder.rglob("*.py")):
        for node in ast.walk(ast.parse(file.read_text("utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute) and node.func.attr in _LEVELS:
                yield from (
                    part.value
                    for part in ast.walk(node)
                    if isinstance(part, ast.Constant) and isinstance(part.value, str)
                )


@pytest.mark.parametrize("command", [one for one in commands() if one.searched and one.verb == "logs"], ids=str)
def test_what_a_log_is_searched_for_is_said_there(command: Command) -> None:
    of_operator = OPERATOR_PODS in command.words
    folder = ROOT / ("operator/timbre_operator" if of_operator else "server/timbre_server")
    formatter = OperatorFormatter() if of_operator else ServerFormatter()
    failed = {"msg": "", "levelname": "ERROR", "fields": {"drift": True} if of_operator else {"status": 503}}
    said = "\n".join(
        [*(f'"{text}"' for text in _said_in_logs(folder)), formatter.format(logging.makeLogRecord(failed))]
    )
    for pattern in command.searched:
        assert re.search(pattern, said), pattern


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_panels_that_a_page_names_are_there(page: Path) -> None:
    titles = {panel["title"] for name in DASHBOARDS for panel in panels(name)}
    legends = {target["legendFormat"] for name in DASHBOARDS for panel in panels(name) for target in panel["targets"]}
    named = re.findall(r"(?<!\*)\*([A-Za-z][A-Za-z ,-]+)\*(?!\*)", page.read_text("utf-8"))
    assert [name for name in named if name not in titles | legends] == []
