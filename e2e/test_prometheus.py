"""Does a Prometheus that knows nothing of Timbre scrape all of it, and do the dashboards then say what happens?"""

from __future__ import annotations

import json
import subprocess
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any, Final

import pytest

from e2e.installation import Installation, VoiceService
from e2e.kubectl import Kubectl, eventually
from e2e.load import SPEECH, Load, under_load
from e2e.local_cluster import LocalCluster
from e2e.services import NEW_TEXTS, STUB
from examples.local_redis import free_port

Images = Mapping[str, str]
DASHBOARDS = Path(__file__).resolve().parents[1] / "charts" / "timbre" / "dashboards"
# Debian's has no discovery by Kubernetes: the test finds the pods, as a PodMonitor would.
CONFIGURATION = """
global: {{scrape_interval: 1s}}
scrape_configs:
  - job_name: timbre
    honor_labels: true
    file_sd_configs: [{{files: [{targets}], refresh_interval: 1s}}]
"""
# Of a server, of the operator, of a Redis' exporter.
SCRAPED_PORTS = {"admin", "metrics"}
RATE_INTERVAL: Final = "15s"
"""What Grafana puts for $__rate_interval is four scrapes, at least."""
RATE: Final = 10
JOB_SECONDS: Final = 0.1
"""Engine time of a sentence: ten a second, each another one, keep two pods busy for half of their time."""
REPEATED: Final = ("Good morning.", "We open at nine.", "Thank you for calling.")
MIXED: Final = [{**NEW_TEXTS[0], "input": text} for text in (*REPEATED, "Story {n}.", "Story {n}.")]
"""Of five requests three repeat what was said, and two say what nobody said."""
SHARE_OF_REPEATS: Final = 0.6


def targets(pods: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """As ``file_sd_configs`` reads them: every port of that name, with its container."""
    return [
        {
            "targets": [f"{pod['status']['podIP']}:{port['containerPort']}"],
            "labels": {
                "container": container["name"],
                "pod": pod["metadata"]["name"],
                "namespace": pod["metadata"]["namespace"],
                "voiceservice": pod["metadata"]["labels"].get("app.kubernetes.io/instance", ""),
            },
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
    address = f"127.0.0.1:{free_port()}"
    configuration = CONFIGURATION.format(targets=tmp_path / "targets.json")
    (tmp_path / "prometheus.yml").write_text(configuration, "utf-8")
    with (tmp_path / "log").open("w") as log:
        process = subprocess.Popen(
            [
                folder / "bin/prometheus",
                f"--config.file={tmp_path}/prometheus.yml",
                f"--storage.tsdb.path={tmp_path}/tsdb",
                f"--web.listen-address={address}",
            ],
            stdout=log,
            stderr=log,
        )
        yield address
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


def asked(panel: str, service: VoiceService) -> str:
    """The first question of a panel of the shipped dashboard, as Grafana asks it of one service."""
    dashboard = json.loads((DASHBOARDS / "service.json").read_text("utf-8"))
    expression = next(found["targets"][0]["expr"] for found in dashboard["panels"] if found["title"] == panel)
    variables = {
        "$namespace": service.kubectl.namespace,
        "$voiceservice": service.name,
        "$__rate_interval": RATE_INTERVAL,
    }
    for name, value in variables.items():
        expression = expression.replace(name, value)
    return str(expression)


def test_dashboard_shows_repeats_as_hits_and_as_work_that_the_engines_are_spared(
    namespace: Kubectl, images: Images, prometheus: str, tmp_path: Path, measured: Callable[[str, float, str], None]
) -> None:
    engine = {"name": "stub", "options": {"fixed_seconds": 0.0, "per_job_seconds": JOB_SECONDS}}
    service = VoiceService(namespace, "narrator", {**STUB, "engine": engine}).apply().ready()
    (tmp_path / "targets.json").write_text(json.dumps(targets(namespace.items("pods"))), "utf-8")

    def shown(panel: str) -> float:
        """All pods together."""
        return sum(float(series["value"][1]) for series in query(prometheus, asked(panel, service)))

    def settles(panel: str, value: float, tolerance: float) -> float:
        """What the panel shows once it is about that; its window has a hundred and fifty requests."""
        return eventually(
            lambda: shown(panel), lambda found: abs(found - value) < tolerance, seconds=60, what=f"{panel}: {value}"
        )

    work = RATE * JOB_SECONDS

    with under_load(namespace, images, Load(service.url + SPEECH, NEW_TEXTS, RATE), "distinct") as distinct:
        before = settles("Engine busy", work, 0.1 * work)
        assert shown("Share of speech that the engine was spared") == 0
    with under_load(namespace, images, Load(service.url + SPEECH, MIXED, RATE), "mixed") as mixed:
        spared = settles("Share of speech that the engine was spared", SHARE_OF_REPEATS, 0.02)
        after = settles("Engine busy", work * (1 - SHARE_OF_REPEATS), 0.1 * work)
        settles("Work that is asked for", work * (1 - SHARE_OF_REPEATS), 0.1 * work)

    measured("dashboard: share of speech that the engines were spared, 60 % repeats", spared, "")
    measured("dashboard: engine seconds a second, no repeats", before, "s")
    measured("dashboard: engine seconds a second, 60 % repeats", after, "s")
    distinct.assert_all_good()
    mixed.assert_all_good()
