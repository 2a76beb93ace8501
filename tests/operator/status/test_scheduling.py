"""A pod without a node: what is missing, in the scheduler's words, and what helps."""

from __future__ import annotations

import pytest

from tests.operator.manifests import AService, a_service
from tests.operator.status.states import a_deployment, a_pod, a_state
from timbre_operator.voiceservice.status import Condition

_PREEMPTION = " preemption: 0/3 nodes are available: 3 Preemption is not helpful for scheduling."


def _ready(words: str, service: AService | None = None) -> Condition:
    state = a_state(service).having(a_deployment().starting(0, of=1))
    return state.with_pods(a_pod().mounting("recordings", "consents").unscheduled(words)).condition("Ready")


_WORDS = {
    "GPUs are taken": (
        "0/3 nodes are available: 1 Insufficient nvidia.com/gpu, 2 node(s) had untolerated taint {control-plane: }.",
        "InsufficientGPU",
        "none has nvidia.com/gpu free",
    ),
    "a slice of a GPU is taken": (
        "0/1 nodes are available: 1 Insufficient nvidia.com/mig-1g.10gb.",
        "InsufficientGPU",
        "none has nvidia.com/mig-1g.10gb free",
    ),
    "AMD's GPUs are taken": ("0/1 nodes are available: 1 Insufficient amd.com/gpu.", "InsufficientGPU", "amd.com/gpu"),
    "memory is taken": (
        "0/3 nodes are available: 3 Insufficient memory.",
        "InsufficientMemory",
        "no node has that much memory free",
    ),
    "CPUs are taken": ("0/1 nodes are available: 1 Insufficient cpu.", "InsufficientCPU", "no node has that much CPU"),
    "every node is tainted": (
        "0/2 nodes are available: 2 node(s) had untolerated taint {dedicated: voices}.",
        "UntoleratedTaint",
        "the taint dedicated: voices to spec.podTemplate.spec.tolerations",
    ),
    "taints are counted only": (
        "0/2 nodes are available: 2 node(s) had untolerated taint(s).",
        "UntoleratedTaint",
        "add a toleration for the taint to spec.podTemplate",
    ),
    "no node has the label": (
        "0/3 nodes are available: 3 node(s) didn't match Pod's node affinity/selector.",
        "NodeSelectorUnmatched",
        "correct nodeSelector or affinity",
    ),
    "its volume is not there yet": (
        "0/3 nodes are available: pod has unbound immediate PersistentVolumeClaims.",
        "VolumePending",
        "its volume claim is not bound: see why by kubectl -n studio describe pvc recordings consents, and mend it",
    ),
    "no driver has room": (
        "0/1 nodes are available: 1 node(s) did not have enough free storage.",
        "VolumePending",
        "its volume claim is not bound",
    ),
    "its volume claim was never made": (
        '0/3 nodes are available: persistentvolumeclaim "recordings" not found.',
        "VolumePending",
        "create the volume claim, or correct its name in the spec",
    ),
    "its volume is in another zone": (
        "0/3 nodes are available: 3 node(s) had volume node affinity conflict.",
        "VolumeElsewhere",
        "only be reached from nodes that do not take the pod",
    ),
    "its volume is in another zone, as Kubernetes 1.35 says it": (
        "0/3 nodes are available: 1 Insufficient cpu, 2 node(s) didn't match PersistentVolume's node affinity.",
        "VolumeElsewhere",
        "only be reached from nodes that do not take the pod",
    ),
    "its volume is gone": (
        "0/1 nodes are available: 1 node(s) unavailable due to one or more pvc(s) bound to non-existent pv(s).",
        "VolumeLost",
        "restore the PersistentVolume",
    ),
    "its device claim cannot be met": (
        "0/1 nodes are available: 1 cannot allocate all claims.",
        "ResourceClaimPending",
        "kubectl describe resourceclaim",
    ),
    "something new": ("no nodes available to schedule pods", "Unschedulable", "look at it with kubectl describe pod"),
}


@pytest.mark.parametrize("case", _WORDS)
def test_the_schedulers_words_decide_what_is_advised(case: str) -> None:
    words, reason, advice = _WORDS[case]
    ready = _ready(words + _PREEMPTION)
    assert ready.reason == reason
    assert advice in ready.message
    assert words in ready.message


def test_what_preemption_would_do_is_no_cause() -> None:
    words = "0/1 nodes are available: 1 Insufficient cpu. preemption: 0/1 nodes are available: 1 Insufficient memory."
    assert _ready(words).reason == "InsufficientCPU"


def test_a_full_gpu_pool_is_advised_to_replace_pods_in_place() -> None:
    words = "0/1 nodes are available: 1 Insufficient nvidia.com/gpu."
    assert "spec.rollout.strategy: Replace" in _ready(words).message
    replacing = a_service().with_spec(rollout={"strategy": "Replace"})
    assert "spec.rollout.strategy" not in _ready(words, replacing).message


def test_a_pod_that_has_a_node_is_scheduled() -> None:
    pod = a_pod().waiting("ContainerCreating").with_condition("PodScheduled", "True")
    state = a_state().having(a_deployment().starting(0, of=1)).with_pods(pod)
    assert state.condition("Ready").reason == "Starting"
