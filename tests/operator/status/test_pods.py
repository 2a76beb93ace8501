"""What is read of a pod, whole or bare."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tests.operator.status.states import IMAGE, LATELY, APod, a_deployment, a_pod, a_state
from timbre_contract import labels
from timbre_operator.observed import Observed
from timbre_operator.status.pods import Pod, pods_of


def _read(*pods: APod | tuple[APod, dict[str, object]]) -> Pod:
    (pod,) = pods_of(a_state().with_pods(*pods).observed(), "server")
    return pod


def test_a_pod_that_was_just_made_has_nothing_yet() -> None:
    metadata = {"name": "narrator-1", "labels": labels.selector("narrator", "server")}
    for bare in ({"metadata": metadata}, {"metadata": metadata, "spec": None, "status": None}):
        pod = _read(APod(bare))
        assert (pod.name, pod.phase, pod.node, pod.unscheduled, pod.containers) == (
            "narrator-1",
            "Pending",
            "",
            None,
            (),
        )
        assert pod.where == "pod narrator-1"


def test_a_container_is_called_by_the_image_that_was_asked_for() -> None:
    """A node may write a digest, or the name of a mirror, into the status."""
    (container,) = _read(a_pod().container(image="mirror.example/timbre@sha256:00")).containers
    assert container.image == IMAGE
    injected = a_pod().with_status(containerStatuses=[{"name": "istio-proxy", "image": "istio:1", "state": {}}])
    (container,) = _read(injected).containers
    assert (container.name, container.image, container.memory_limit) == ("istio-proxy", "istio:1", "")


def test_containers_that_prepare_come_first() -> None:
    fetching = {"name": "fetch", "image": "x", "state": {"running": {}}}
    pod = _read(a_pod().with_status(initContainerStatuses=[fetching]))
    assert [(container.name, container.running) for container in pod.containers] == [("fetch", True), ("server", True)]


def test_the_run_of_now_is_told_before_the_one_before_it() -> None:
    now = {"exitCode": 2, "reason": "Error", "finishedAt": LATELY}
    before = {"exitCode": 1, "reason": "Error"}
    pod = _read(a_pod().container(state={"terminated": now}, lastState={"terminated": before}))
    (container,) = pod.containers
    assert container.ending is not None
    assert (container.ending.exit_code, container.ending.at) == (2, datetime(2026, 11, 30, 11, 55, tzinfo=UTC))
    assert not container.running


def test_an_event_of_either_api_is_read() -> None:
    about = {"kind": "Pod", "name": "narrator-7d9c5b8f6d-x2x4p"}
    core = {"involvedObject": about, "reason": "Failed", "message": "one"}
    newer = {"regarding": about, "reason": "Failed", "note": "two"}
    others = {"involvedObject": {**about, "kind": "ReplicaSet"}, "reason": "Failed", "message": "three"}
    observed = Observed(service=a_state().observed().service, pods=(a_pod().manifest,), events=(core, newer, others))
    (pod,) = pods_of(observed, "server")
    assert [warning.words for warning in pod.warnings] == ["one", "two"]


def test_pods_of_another_component_do_not_count() -> None:
    observed = a_state().with_pods(a_pod(), a_pod("narrator-redis-0", component="redis")).observed()
    assert [pod.name for pod in pods_of(observed, "redis")] == ["narrator-redis-0"]


def test_pods_of_one_moment_stand_in_the_order_of_their_names() -> None:
    observed = a_state().with_pods(a_pod("narrator-b"), a_pod("narrator-a")).observed()
    assert [pod.name for pod in pods_of(observed, "server")] == ["narrator-a", "narrator-b"]


@pytest.mark.parametrize("names", [("narrator-1", "narrator-2"), ("narrator-2", "narrator-1")], ids="-".join)
def test_of_pods_of_one_second_the_newest_is_as_the_deployment_wants_it(names: tuple[str, str]) -> None:
    old, new = (a_pod(name).with_memory_limit(limit) for name, limit in zip(names, ("1Gi", "2Gi"), strict=True))
    template = {"spec": {"containers": new.manifest["spec"]["containers"]}}
    deployment = a_deployment().changed(lambda manifest: manifest["spec"].update(template=template))
    observed = a_state().having(deployment).with_pods(old, new).observed()
    assert [pod.name for pod in pods_of(observed, "server")] == [names[1], names[0]]
