"""Why is a pod that found its node and its image still not serving?"""

from __future__ import annotations

from typing import Final

from timbre_operator.status.component import Component
from timbre_operator.status.finding import Finding, quoted
from timbre_operator.status.pods import Pod

_NOT_CREATED: Final = {
    "CreateContainerConfigError", "CreateContainerError", "RunContainerError", "PreStartHookError", "PostStartHookError",
}  # fmt: skip
"""k8s.io/kubernetes/pkg/kubelet/kuberuntime and pkg/kubelet/container."""
_VOLUME_EVENTS: Final = {"FailedMount", "FailedAttachVolume", "FailedMapVolume"}
_SANDBOX_EVENT: Final = "FailedCreatePodSandBox"


def not_created(pod: Pod, component: Component) -> Finding | None:
    """Kubelet has everything and cannot make a container of it."""
    del component
    for container in pod.containers:
        if container.waiting in _NOT_CREATED:
            return Finding(
                "ContainerNotCreated",
                f"{pod.where}: {container.name} cannot be made; correct spec.podTemplate; kubelet says:"
                f" {quoted(container.waiting_words)}",
            )
    return None


def not_mounted(pod: Pod, component: Component) -> Finding | None:
    """A volume, or the pod's network, does not come."""
    if pod.phase != "Pending" or any(container.running for container in pod.containers):
        return None
    for event in pod.warnings:
        if event.reason in _VOLUME_EVENTS:
            return Finding(
                "VolumeNotMounted",
                f"{pod.where} waits for a volume; create what is missing, or look at the volume; kubelet says:"
                f" {quoted(event.words)}",
            )
        if event.reason == _SANDBOX_EVENT:
            return Finding(
                "NetworkNotReady",
                f"{pod.where} gets no network; look at node {pod.node} and its network plug-in; kubelet says:"
                f" {quoted(event.words)}",
            )
    del component
    return None


def probe_failing(pod: Pod, component: Component) -> Finding | None:
    """It runs, had started, and does not answer a probe."""
    for container in pod.containers:
        if not (container.running and container.started and not container.ready):
            continue
        words = next((event.words for event in pod.warnings if event.reason == "Unhealthy"), "")
        kind = words.partition(" probe")[0]
        if kind in {"Readiness", "Liveness"}:
            logs = component.logs(pod.name, container.name, previous=False)
            return Finding(
                f"{kind}ProbeFailing", f"{pod.where}: {container.name} fails its {kind.lower()} probe; see why by {logs};"
                f" kubelet says: {quoted(words)}"
            )  # fmt: skip
    return None


def turned_away(pod: Pod, component: Component) -> Finding | None:
    """A node threw it out, or did not let it in; another one takes its place."""
    del component
    if pod.phase != "Failed" or not pod.reason:
        return None
    return Finding(
        "PodEvicted" if pod.reason == "Evicted" else "PodRejected",
        f"{pod.where} was stopped by its node ({pod.reason}) and is made anew; relieve the node if that happens again;"
        f" it says: {quoted(pod.words)}",
    )
