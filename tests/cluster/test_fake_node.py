"""The fake node keeps its promises: what it runs is real, and what it says is what scheduler and kubelet would say."""

from __future__ import annotations

import os
import signal
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from tests.cluster.api import Api, Object
from tests.cluster.bare_pods import a_pod, a_service, container_state, is_ready, waits_for
from tests.cluster.container_runs import ProcessRun
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fake_node import FakeNode
from tests.cluster.fake_volumes import STORAGE_CLASS

_WAIT = 'touch "${READY:-/dev/null}"; while :; do sleep 0.05; done'
_SLEEPER = ["sh", "-c", f"trap 'exit 0' TERM; {_WAIT}"]


def _ready_by(file: Path) -> Object:
    """A container that is ready once its script has made this file."""
    return {
        "env": [{"name": "READY", "value": str(file)}],
        "readinessProbe": {"exec": {"command": ["test", "-e", str(file)]}, "periodSeconds": 1, "failureThreshold": 1},
    }


async def _last_words(api: Api, pod: Object) -> str:
    """Of a container that ended and is started again."""

    def ended(found: Object) -> Any:
        return (found["status"].get("containerStatuses") or [{}])[0].get("lastState", {}).get("terminated")

    again = await _until(api, pod, ended)
    return str(ended(again)["message"])


async def _until(api: Api, pod: Object, claim: Any, *, gone: bool = False) -> Object:
    metadata = pod["metadata"]
    return await api.until("v1/Pod", metadata["namespace"], metadata["name"], claim, gone=gone)


async def _reasons(api: Api, namespace: str) -> set[str]:
    return {event["reason"] for event in await api.find("v1/Event", namespace)}


def _pid(node: FakeNode, name: str = "bare") -> int:
    run = node.pods[name].containers["server"].run
    assert isinstance(run, ProcessRun)
    return run.process.pid


async def test_a_pod_without_a_stand_in_runs_and_is_ready(api: Api, namespace: str, fake_node: FakeNode) -> None:
    pod = await _until(api, await api.create(a_pod(namespace)), is_ready)
    assert pod["status"]["phase"] == "Running"
    assert pod["status"]["podIP"] == fake_node.pods["bare"].address
    assert pod["spec"]["nodeName"] == fake_node.name


async def test_a_crash_is_told_with_its_exit_code_and_last_words(api: Api, namespace: str, fake_node: FakeNode) -> None:
    fake_node.images["registry/broken:1"] = ["sh", "-c", "echo no model >&2; exit 3"]
    pod = await _until(
        api, await api.create(a_pod(namespace, image="registry/broken:1")), waits_for("CrashLoopBackOff")
    )
    (status,) = pod["status"]["containerStatuses"]
    assert status["restartCount"] == 1
    ended = status["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"], ended["message"].splitlines()[-1]) == (3, "Error", "no model")
    assert "back-off" in status["state"]["waiting"]["message"]
    assert not is_ready(pod)


async def test_a_container_without_memory_was_killed_by_the_kernel(
    api: Api, namespace: str, fake_node: FakeNode
) -> None:
    fake_node.images["registry/sleeper:1"] = _SLEEPER
    pod = await _until(api, await api.create(a_pod(namespace, image="registry/sleeper:1")), is_ready)
    fake_node.pods["bare"].containers["server"].kill(out_of_memory=True)
    pod = await _until(api, pod, lambda found: found["status"]["containerStatuses"][0]["restartCount"] == 1)
    ended = pod["status"]["containerStatuses"][0]["lastState"]["terminated"]
    assert (ended["exitCode"], ended["reason"]) == (137, "OOMKilled")


async def test_an_image_of_no_registry_is_never_pulled(api: Api, namespace: str, fake_node: FakeNode) -> None:
    pod = await api.create(a_pod(namespace, image="registry.invalid/x:1"))
    pod = await _until(api, pod, waits_for("ImagePullBackOff"))
    assert "no such host" in container_state(pod)["waiting"]["message"]
    assert "Failed" in await _reasons(api, namespace)
    await api.delete(pod)
    await _until(api, pod, None, gone=True)


async def test_a_gpu_that_no_node_has_keeps_a_pod_waiting_until_there_is_one(
    api: Api, namespace: str, fake_node: FakeNode
) -> None:
    wish = {"resources": {"limits": {"nvidia.com/gpu": 1}}}
    first = await api.create(a_pod(namespace, "first", container=wish))
    pod = await _until(api, first, lambda found: found["status"].get("conditions"))
    (condition,) = pod["status"]["conditions"]
    assert (condition["type"], condition["status"], condition["reason"]) == ("PodScheduled", "False", "Unschedulable")
    assert condition["message"].startswith("0/1 nodes are available: 1 Insufficient nvidia.com/gpu.")

    await fake_node.give(**{"nvidia.com/gpu": 1})
    await _until(api, first, is_ready)
    second = await api.create(a_pod(namespace, "second", container=wish))
    await _until(api, second, lambda found: found["status"].get("conditions"))
    await api.delete(first)
    await _until(api, second, is_ready)


async def test_a_node_without_the_labels_is_not_taken(api: Api, namespace: str, fake_node: FakeNode) -> None:
    pod = await api.create(a_pod(namespace, nodeSelector={"disk": "fast"}))
    told = await _until(api, pod, lambda found: found["status"].get("conditions"))
    assert "didn't match Pod's node affinity/selector" in told["status"]["conditions"][0]["message"]
    await fake_node.label(disk="fast")
    await _until(api, pod, is_ready)


async def test_a_pod_waits_for_its_secret(api: Api, namespace: str, fake_node: FakeNode) -> None:
    fake_node.images["registry/reader:1"] = ["sh", "-c", "cat /secrets/word; exit 1"]
    volume = {"name": "s", "secret": {"secretName": "words", "items": [{"key": "word", "path": "word"}]}}
    pod = a_pod(
        namespace,
        image="registry/reader:1",
        volumes=[volume],
        container={"volumeMounts": [{"name": "s", "mountPath": "/secrets"}]},
    )
    pod = await _until(api, await api.create(pod), waits_for("ContainerCreating"))
    secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "words", "namespace": namespace}}
    await api.create({**secret, "stringData": {"word": "open sesame"}})
    assert await _last_words(api, pod) == "open sesame"
    assert "FailedMount" in await _reasons(api, namespace)


async def test_a_missing_variable_is_told(api: Api, namespace: str, fake_node: FakeNode) -> None:
    source = {"valueFrom": {"configMapKeyRef": {"name": "none", "key": "k"}}}
    pod = await api.create(a_pod(namespace, container={"env": [{"name": "X", **source}]}))
    pod = await _until(api, pod, waits_for("CreateContainerConfigError"))
    assert 'configmaps "none" not found' in container_state(pod)["waiting"]["message"]
    assert fake_node.pods["bare"].containers["server"].run is None


async def test_a_deleted_pod_ends_by_sigterm_and_is_gone(
    api: Api, namespace: str, fake_node: FakeNode, tmp_path: Path
) -> None:
    fake_node.images["registry/polite:1"] = ["sh", "-c", f"trap 'echo bye; exit 0' TERM; {_WAIT}"]
    pod = a_pod(namespace, image="registry/polite:1", container=_ready_by(tmp_path / "ready"))
    pod = await _until(api, await api.create(pod), is_ready)
    life = fake_node.pods["bare"]
    await api.delete(pod)
    await _until(api, pod, None, gone=True)
    assert life.log() == "bye\n"


async def test_who_does_not_listen_is_killed_after_the_grace_period(
    api: Api, namespace: str, fake_node: FakeNode, tmp_path: Path
) -> None:
    fake_node.images["registry/stubborn:1"] = ["sh", "-c", f"trap '' TERM; {_WAIT}"]
    container = _ready_by(tmp_path / "ready")
    pod = a_pod(namespace, image="registry/stubborn:1", terminationGracePeriodSeconds=1, container=container)
    pod = await _until(api, await api.create(pod), is_ready)
    pid = _pid(fake_node)
    await api.delete(pod)
    await _until(api, pod, None, gone=True)
    with pytest.raises(ProcessLookupError):
        os.kill(pid, 0)


async def test_a_failing_start_up_probe_restarts_the_container(api: Api, namespace: str, fake_node: FakeNode) -> None:
    fake_node.images["registry/sleeper:1"] = _SLEEPER
    probe = {"exec": {"command": ["false"]}, "periodSeconds": 1, "failureThreshold": 1}
    pod = await api.create(a_pod(namespace, image="registry/sleeper:1", container={"startupProbe": probe}))
    await _until(api, pod, lambda found: (found["status"].get("containerStatuses") or [{}])[0].get("restartCount"))
    assert "Unhealthy" in await _reasons(api, namespace)


async def test_liveness_restarts_and_readiness_takes_out_of_service(
    api: Api, namespace: str, fake_node: FakeNode, tmp_path: Path
) -> None:
    fake_node.images["registry/sleeper:1"] = _SLEEPER
    alive, ready = tmp_path / "alive", tmp_path / "ready"
    alive.touch()
    liveness = {"exec": {"command": ["test", "-e", str(alive)]}, "periodSeconds": 1, "failureThreshold": 1}
    container = {**_ready_by(ready), "livenessProbe": liveness}
    pod = a_pod(namespace, image="registry/sleeper:1", container=container)
    pod = await _until(api, await api.create(pod), is_ready)
    ready.unlink()
    pod = await _until(api, pod, lambda found: not is_ready(found))
    assert pod["status"]["containerStatuses"][0]["restartCount"] == 0
    alive.unlink()
    pod = await _until(api, pod, lambda found: found["status"]["containerStatuses"][0]["restartCount"] == 1)
    assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 0  # it obeyed SIGTERM


async def test_a_volume_is_made_grows_and_goes_with_its_claim(api: Api, namespace: str, fake_node: FakeNode) -> None:
    claim = {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data", "namespace": namespace},
        "spec": {"accessModes": ["ReadWriteOnce"], "resources": {"requests": {"storage": "1Gi"}}},
    }
    kind = "v1/PersistentVolumeClaim"
    await api.create(claim)
    bound = await api.until(kind, namespace, "data", lambda found: found["status"].get("phase") == "Bound")
    assert bound["spec"]["storageClassName"] == STORAGE_CLASS
    assert bound["status"]["capacity"] == {"storage": "1Gi"}
    folder = fake_node.volumes.folder_of("data")
    assert folder.is_dir()
    await api.patch(bound, {"spec": {"resources": {"requests": {"storage": "2Gi"}}}})
    await api.until(kind, namespace, "data", lambda found: found["status"]["capacity"] == {"storage": "2Gi"})
    await api.delete(bound)
    await api.until("v1/PersistentVolume", "", bound["spec"]["volumeName"], None, gone=True)
    assert not folder.exists()


async def test_a_service_leads_to_pods_that_are_ready(api: Api, namespace: str, fake_node: FakeNode) -> None:
    fake_node.light = True
    probe = {
        "readinessProbe": {"httpGet": {"path": "/readyz", "port": 9000}, "periodSeconds": 1, "failureThreshold": 1}
    }
    service = await api.create(a_service(namespace, "door", app="a", port=8080, target=9000))
    for name in ("one", "two"):
        pod = a_pod(namespace, name, image="registry/timbre-server:1", container=probe)
        pod["metadata"]["labels"] = {"app": "a"}
        await _until(api, await api.create(pod), is_ready)
        fake_node.light_pod(name).answers["/who"] = (200, name)
    url = f"http://{service['spec']['clusterIP']}:8080/who"

    async def ask() -> str:
        async with aiohttp.ClientSession() as session, session.get(url) as answer:
            return await answer.text()

    assert {await ask() for _ in range(4)} == {"one", "two"}
    fake_node.light_pod("one").answers["/readyz"] = (503, "")
    await fake_node.until_seen(lambda pods: not is_ready(pods["one"]))
    assert {await ask() for _ in range(4)} == {"two"}


async def test_a_light_pod_says_what_the_test_says(api: Api, namespace: str, fake_node: FakeNode) -> None:
    metadata = {"annotations": {"test.timbre.dev/light": ""}}
    pod = await api.create(a_pod(namespace, image="registry/timbre-server:1", metadata=metadata))
    await _until(api, pod, is_ready)
    fake_node.light_pod("bare").report({"timbre_pending_requests": 7})
    address = fake_node.pods["bare"].address
    async with aiohttp.ClientSession() as session, session.get(f"http://{address}:9000/metrics") as answer:
        assert await answer.text() == "timbre_pending_requests 7\n"


async def test_services_are_announced_in_variables_unless_the_pod_wants_none(
    api: Api, namespace: str, fake_node: FakeNode
) -> None:
    fake_node.images["registry/printer:1"] = ["sh", "-c", "echo at $TIMBRE_PORT; exit 1"]
    service = await api.create(a_service(namespace, "timbre"))
    words = {}
    for name, wanted in (("linked", True), ("unlinked", False)):
        pod = a_pod(namespace, name, image="registry/printer:1", enableServiceLinks=wanted)
        words[name] = await _last_words(api, await api.create(pod))
    assert words == {"linked": f"at tcp://{service['spec']['clusterIP']}:8000\n", "unlinked": "at\n"}


async def test_a_process_that_dies_is_started_again(api: Api, namespace: str, fake_node: FakeNode) -> None:
    fake_node.images["registry/sleeper:1"] = _SLEEPER
    pod = await _until(api, await api.create(a_pod(namespace, image="registry/sleeper:1")), is_ready)
    os.kill(_pid(fake_node), signal.SIGSEGV)
    pod = await _until(api, pod, lambda found: found["status"]["containerStatuses"][0]["restartCount"] == 1)
    assert pod["status"]["containerStatuses"][0]["lastState"]["terminated"]["exitCode"] == 139


async def test_an_api_server_that_goes_away_takes_no_pod_along(
    api: Api, namespace: str, fake_node: FakeNode, control_plane: ControlPlane
) -> None:
    fake_node.images["registry/sleeper:1"] = _SLEEPER
    pod = await _until(api, await api.create(a_pod(namespace, image="registry/sleeper:1")), is_ready)
    pid = _pid(fake_node)
    control_plane.stop("kube-apiserver")
    control_plane.start_api_server()
    await api.create(a_pod(namespace, "later"))
    await api.until("v1/Pod", namespace, "later", is_ready)
    assert _pid(fake_node) == pid
    assert is_ready(await api.fetch("v1/Pod", namespace, pod["metadata"]["name"]))
