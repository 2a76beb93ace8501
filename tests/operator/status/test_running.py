"""A pod with a node and an image that does not serve all the same."""

from __future__ import annotations

import pytest

from tests.operator.status.states import APod, a_deployment, a_good_state, a_pod, a_state
from timbre_operator.voiceservice.status import Condition


def _ready(pod: APod | tuple[APod, dict[str, object]]) -> Condition:
    return a_state().having(a_deployment().starting(0, of=1)).with_pods(pod).condition("Ready")


def test_a_container_that_cannot_be_made_is_told_in_kubelets_words() -> None:
    words = "container has runAsNonRoot and image will run as root"
    ready = _ready(a_pod().waiting("CreateContainerConfigError", words))
    assert ready.reason == "ContainerNotCreated"
    assert "correct spec.podTemplate" in ready.message
    assert words in ready.message


@pytest.mark.parametrize("reason", ["FailedMount", "FailedAttachVolume"])
def test_a_volume_that_does_not_come_is_told(reason: str) -> None:
    words = 'MountVolume.SetUp failed for volume "redis" : secret "cache" not found'
    ready = _ready(a_pod().waiting("ContainerCreating").warned(reason, words))
    assert ready.reason == "VolumeNotMounted"
    assert 'secret "cache" not found' in ready.message


def test_a_network_that_does_not_come_is_told() -> None:
    words = 'plugin type="cilium-cni" failed (add): unable to allocate IP'
    ready = _ready(a_pod().on("node-7").waiting("ContainerCreating").warned("FailedCreatePodSandBox", words))
    assert ready.reason == "NetworkNotReady"
    assert "look at node node-7" in ready.message


def test_an_old_warning_of_a_pod_that_runs_is_forgotten() -> None:
    ready = _ready(a_pod().not_ready().container(started=False).warned("FailedMount", "timed out"))
    assert ready.reason == "Starting"


@pytest.mark.parametrize("kind", ["Readiness", "Liveness"])
def test_a_probe_that_fails_is_told_by_its_name(kind: str) -> None:
    words = f"{kind} probe failed: HTTP probe failed with statuscode: 503"
    ready = _ready(a_pod().not_ready().warned("Unhealthy", words))
    assert ready.reason == f"{kind}ProbeFailing"
    assert "kubectl -n studio logs narrator-7d9c5b8f6d-x2x4p -c server;" in ready.message
    assert words in ready.message


def test_a_pod_that_is_not_ready_for_a_moment_is_starting() -> None:
    assert _ready(a_pod().not_ready()).reason == "Starting"


def test_a_pod_that_its_node_threw_out_is_told() -> None:
    words = "The node was low on resource: memory. Threshold quantity: 100Mi, available: 91348Ki."
    ready = _ready(a_pod().on("node-7").failed("Evicted", words))
    assert ready.reason == "PodEvicted"
    assert "on node node-7 was stopped by its node (Evicted)" in ready.message
    assert words in ready.message


def test_a_pod_that_its_node_did_not_let_in_is_told() -> None:
    words = (
        "Allocate failed due to requested number of devices unavailable for nvidia.com/gpu. Requested: 1, Available: 0,"
        " which is unexpected"
    )
    assert _ready(a_pod().failed("UnexpectedAdmissionError", words)).reason == "PodRejected"


def test_a_pod_that_was_thrown_out_is_forgotten_when_its_successor_serves() -> None:
    """Kubernetes keeps it for those who want to look at it."""
    evicted = a_pod("narrator-old").failed("Evicted", "The node was low on resource: memory.")
    state = a_good_state(pods=1).with_pods(evicted)
    assert state.condition("Degraded").status == "False"
    surplus = state.knowing(found=a_state().having(a_deployment().rolling_out(0, of=1)).observed().found)
    assert surplus.condition("Degraded").reason == "PodEvicted"


def test_a_pod_that_still_prepares_waits_for_no_volume() -> None:
    preparing = {"name": "fetch", "image": "x", "state": {"running": {}}, "started": False}
    pod = a_pod().waiting("PodInitializing").with_status(initContainerStatuses=[preparing])
    assert _ready(pod.warned("FailedMount", "timed out once")).reason == "Starting"


def test_a_pod_that_serves_again_is_not_reproached_with_its_probe() -> None:
    words = "Readiness probe failed: HTTP probe failed with statuscode: 503"
    serving = a_pod("narrator-1").warned("Unhealthy", words)
    state = a_state().having(a_deployment().starting(1, of=2)).with_pods(serving, a_pod("narrator-2").waiting("x"))
    assert state.condition("Degraded").status == "False"


def test_only_probes_tell_of_probes() -> None:
    state = a_state().having(a_deployment().starting(0, of=1))
    state = state.warned("Pod", "narrator-7d9c5b8f6d-x2x4p", "NodeNotReady", "Node is not ready")
    pod = a_pod().not_ready().warned("Unhealthy", "Readiness probe failed: HTTP probe failed with statuscode: 503")
    assert state.with_pods(pod).condition("Ready").reason == "ReadinessProbeFailing"


def test_a_pod_that_failed_and_says_nothing_is_passed_over() -> None:
    assert _ready(a_pod().failed("", "")).reason == "Starting"
