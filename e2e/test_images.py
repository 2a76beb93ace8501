"""Do the images run as the operator runs them: as nobody, on a read-only root file system, in a restricted namespace?"""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Callable, Mapping
from datetime import datetime
from pathlib import Path

import pytest

from e2e.installation import OPERATOR, Installation
from e2e.kubectl import Kubectl, eventually
from e2e.local_cluster import LocalCluster
from e2e.pods import Client
from e2e.rendered import children

Images = Mapping[str, str]
ROOT = Path(__file__).resolve().parents[1]
# Field 22 of stat(5): hundredths of a second after the boot.
PROCESS_START = """
import time
ticks = open("/proc/1/stat").read().rsplit(")", 1)[1].split()[19]
print(time.time() - float(open("/proc/uptime").read().split()[0]) + int(ticks) / 100)
"""
REDIS_CLI = ["redis-cli", "--user", "timbre", "--pass", "the pods' password", "--no-auth-warning"]


@pytest.mark.usefixtures("images")
@pytest.mark.parametrize(("image", "most"), [("server", 800), ("operator", 400)])
def test_image_is_no_larger_than_promised(image: str, most: int, measured: Callable[[str, float, str], None]) -> None:
    """Unpacked, as the build prints it; a file that a later layer removes counts, for every node pulls it."""
    archive = LocalCluster.found(ROOT).folder / "images" / f"{image}.tar"
    counted = [sys.executable, str(ROOT / "scripts/image_parts.py"), str(archive)]
    printed = subprocess.run(counted, capture_output=True, text=True, check=True).stdout
    megabytes = int(printed.partition(" MB; ")[0])
    measured(f"image {image}, unpacked", megabytes, "MB")
    assert megabytes <= most, printed


@pytest.mark.parametrize("engine", ["stub", "embedded"])
def test_server_becomes_ready_and_speaks_through_its_service(
    namespace: Kubectl, images: Images, engine: str, measured: Callable[[str, float, str], None]
) -> None:
    spec = {"engine": {"name": engine}, "autoscaling": {"class": "None"}, "resources": {"requests": {"cpu": "100m"}}}
    namespace.apply(*children(images, namespace.namespace, "narrator", spec))
    namespace.rolled_out("deployment/narrator")

    measured(f"{engine} engine: process start until ready", start_seconds(namespace, "deployment/narrator"), "s")
    answer = Client.start(namespace, images).speak(f"http://narrator.{namespace.namespace}.svc.cluster.local:8000")
    assert (answer["status"], answer["headers"]["content-type"]) == (200, "audio/wav")
    assert answer["bytes"] > 10_000


def test_operator_watches_as_soon_as_it_has_started(
    timbre: Installation, measured: Callable[[str, float, str], None]
) -> None:
    timbre.kubectl("rollout", "restart", OPERATOR)
    timbre.kubectl.rolled_out(OPERATOR)
    eventually(lambda: len(timbre.operators()) == 1, seconds=60, what="the end of the operator before it")
    (pod,) = timbre.operators()

    # Whether it waits for a Lease is another question.
    seconds = start_seconds(timbre.kubectl, pod["metadata"]["name"], says="watching")
    measured("operator: process start until it watches", seconds, "s")


def start_seconds(kubectl: Kubectl, pod: str, says: str = "ready") -> float:
    """From the start of the container's first process until its log says so."""
    began = kubectl.python(pod, PROCESS_START)
    said = next(line["time"] for line in map(json.loads, kubectl("logs", pod).splitlines()) if line["message"] == says)
    return datetime.fromisoformat(said).timestamp() - float(began)


def test_told_to_end_the_server_drains_and_ends_with_0(namespace: Kubectl, images: Images) -> None:
    spec = {"engine": {"name": "stub"}, "autoscaling": {"class": "None"}, "drain": {"accept": "1s"}}
    namespace.apply(*children(images, namespace.namespace, "narrator", spec))
    namespace.rolled_out("deployment/narrator")
    (pod,) = namespace.items("pods", "-l", "app.kubernetes.io/component=server")
    name = pod["metadata"]["name"]

    # Process 1 of the container: the kubelet starts another after it, and keeps how the first one ended.
    namespace.python(name, "import os, signal; os.kill(1, signal.SIGTERM)")

    ended = eventually(
        lambda: namespace.json("get", "pod", name)["status"]["containerStatuses"][0]["lastState"].get("terminated"),
        seconds=30,
        what="the end of the server",
    )
    assert (ended["exitCode"], ended["reason"]) == (0, "Completed")


def test_redis_keeps_its_voices_when_its_pod_goes(namespace: Kubectl, images: Images) -> None:
    namespace.apply(*redis_of(images, namespace.namespace, {}))
    namespace.rolled_out("statefulset/narrator-redis")
    namespace("exec", "narrator-redis-0", "-c", "redis", "--", *REDIS_CLI, "set", "timbre:1:kept", "yes")
    (before,) = namespace.items("pods", "-l", "app.kubernetes.io/component=redis")

    namespace("delete", "pod", "narrator-redis-0", "--wait=true")
    namespace.rolled_out("statefulset/narrator-redis")

    (after,) = namespace.items("pods", "-l", "app.kubernetes.io/component=redis")
    assert after["metadata"]["uid"] != before["metadata"]["uid"]
    kept = namespace("exec", "narrator-redis-0", "-c", "redis", "--", *REDIS_CLI, "get", "timbre:1:kept")
    assert kept.strip() == "yes"


def test_redis_is_user_999_and_writes_to_its_volume_only(namespace: Kubectl, images: Images) -> None:
    namespace.apply(*redis_of(images, namespace.namespace, {}))
    namespace.rolled_out("statefulset/narrator-redis")

    def run(command: str) -> str:
        return namespace("exec", "narrator-redis-0", "-c", "redis", "--", "sh", "-c", command).strip()

    assert run("id -u") == "999"
    assert run("touch /data/written && echo written") == "written"
    for folder in ("/", "/usr/bin", "/etc", "/tmp", "/var"):
        assert run(f"touch {folder}/written 2>/dev/null || echo refused") == "refused"


def redis_of(images: Images, namespace: str, redis: Mapping[str, object]) -> list[dict[str, object]]:
    """What the managed Redis of a service is."""
    spec = {"engine": {"name": "stub"}, "redis": {"managed": {"maxMemory": "64Mi", **redis}}}
    return [
        manifest
        for manifest in children(images, namespace, "narrator", spec)
        if manifest["metadata"]["labels"].get("app.kubernetes.io/component") == "redis"
    ]
