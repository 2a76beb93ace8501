"""Does a Prometheus that knows nothing of Timbre scrape all of it?"""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import pytest

from e2e.installation import Installation, VoiceService
from e2e.kubectl import Kubectl, eventually
from e2e.load import SPEECH, Load, under_load
from e2e.local_cluster import LocalCluster
from e2e.services import NEW_TEXTS, STUB

Images = Mapping[str, str]
ADDRESS = "127.0.0.1:19090"
# Debian's has no discovery by Kubernetes: the test finds the pods, as a PodMonitor would.
CONFIGURATION = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: timbre
    file_sd_configs: [{{files: [{targets}], refresh_interval: 1s}}]
"""
# Of a server, of the operator, of a Redis' exporter.
SCRAPED_PORTS = {"admin", "metrics"}


def targets(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As ``file_sd_configs`` reads them: every port of that name, with its container."""
    return [
        {
            "targets": [f"{pod['status']['podIP']}:{port['containerPort']}"],
            "labels": {"container": container["name"], "pod": pod["metadata"]["name"]},
        }
        for pod in pods
        for container in pod["spec"]["containers"]
        for port in container.get("ports", [])
        if port.get("name") in SCRAPED_PORTS
    ]


@pytest.fixture
def prometheus(cluster: LocalCluster, tmp_path: Path) -> Iterator[str]:
    """Debian's, on this machine, which reaches pods by their addresses."""
    if cluster.lent:
        pytest.skip("this machine does not reach the pods of a cluster that is not ours")
    tools = [cluster.root / "scripts/cluster_tools.sh"]
    subprocess.run([*tools, "prometheus"], check=True, capture_output=True)
    folder = Path(subprocess.run([*tools, "--path"], check=True, capture_output=True, text=True).stdout.strip())
    configuration = CONFIGURATION.format(targets=tmp_path / "targets.json")
    (tmp_path / "prometheus.yml").write_text(configuration, "utf-8")
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [
                folder / "bin/prometheus",
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/tsdb",
                f"--web.listen-address={ADDRESS}",
            ],
            stdout=log,
            stderr=log,
        )
        yield ADDRESS
        process.terminate()
        process.wait()


def query(address: str, expression: str) -> list[dict[str, Any]]:
    """Series with their last values; none while Prometheus starts."""
    url = f"http://{address}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
    try:
        with urllib.request.urlopen(url, timeout=5) as answer:
            found: list[dict[str, Any]] = json.load(answer)["data"]["result"]
            return found
    except OSError:
        return []


def test_every_part_is_scraped_and_says_what_it_did(
    namespace: Kubectl, images: Images, prometheus: str, timbre: Installation, tmp_path: Path
) -> None:
    service = VoiceService(namespace, "narrator", STUB).apply().ready()
    found = targets([*namespace.items("pods"), *timbre.operators()])
    (tmp_path / "targets.json").write_text(json.dumps(found), "utf-8")
    with under_load(namespace, images, Load(service.url + SPEECH, NEW_TEXTS, rate=10)):
        eventually(
            lambda: {
                series["metric"]["container"]: series["value"][1]
                for series in query(prometheus, "min by (container) (up)")
            },
            lambda up: up == {"server": "1", "exporter": "1", "operator": "1"},
            seconds=60,
            what="a scrape of server, exporter and operator",
        )
        requests = eventually(
            lambda: query(prometheus, 'sum(rate(timbre_requests_total{status="200"}[10s])) > 5'), seconds=60
        )
    assert float(requests[0]["value"][1]) < 20
    for series in (
        "redis_up",
        "timbre_operator_leader",
        "timbre_operator_reconcile_total",
        "timbre_engine_busy_seconds_total",
    ):
        assert query(prometheus, series), series
