"""Why does no node take a pod?"""

from __future__ import annotations

import re
from typing import Final

from timbre_operator.status.component import Component
from timbre_operator.status.finding import Finding, quoted
from timbre_operator.status.pods import Pod

_DEVICE: Final = re.compile(r"Insufficient ((?:nvidia\.com|amd\.com|gpu\.intel\.com)/[\w.-]*\w)", re.IGNORECASE)
_TAINT: Final = re.compile(r"untolerated taint(?:\(s\))? ?(?:\{([^}]*)\})?")

# Reason, what the scheduler's plugins say (k8s.io/kubernetes/pkg/scheduler/framework/plugins), what helps.
_CAUSES: Final = (
    (
        "ResourceClaimPending",
        r"resourceclaim|cannot allocate all claims",
        "a claim of spec.podTemplate.spec.resourceClaims cannot be met: look at it with kubectl describe resourceclaim",
    ),
    (
        "VolumeElsewhere",
        r"volume node affinity|PersistentVolume's node affinity",
        "its volume can only be reached from nodes that do not take the pod: kubectl describe pv names them, add one or free one",
    ),
    (
        "VolumePending",
        r"persistentvolumeclaim \S+ not found",
        "create the volume claim, or correct its name in the spec",
    ),
    (
        "VolumeLost",
        r"bound to non-existent (?:pv|persistentvolume)",
        "the volume of its claim is gone: restore the PersistentVolume, or delete the claim and begin with an empty one",
    ),
    (
        "VolumePending",
        r"unbound immediate PersistentVolumeClaims|persistentvolumeclaim|available persistent volumes|enough free storage",
        "its volume claim is not bound: see why by kubectl -n {namespace} describe pvc{claims}, and mend it or its storage class",
    ),
    (
        "InsufficientMemory",
        r"Insufficient memory",
        "no node has that much memory free: lower its requests, or add a node",
    ),
    ("InsufficientCPU", r"Insufficient cpu", "no node has that much CPU free: lower its requests, or add a node"),
    (
        "NodeSelectorUnmatched",
        r"node affinity/selector|node selector",
        "no node has the labels that spec.podTemplate.spec asks for: correct nodeSelector or affinity, or label a node",
    ),
)


def unschedulable(pod: Pod, component: Component) -> Finding | None:
    """No node fits; the scheduler says for each why."""
    words = pod.unscheduled
    if words is None:
        return None
    # What preemption would do stands behind it, and repeats names that are no cause.
    cause = words.partition(" preemption:")[0]
    reason, cure = _gpu(cause, component) or _taint(cause) or _other(cause, pod, component)
    return Finding(reason, f"{pod.where} finds no node: {cure}; the scheduler says: {quoted(words)}")


def _gpu(cause: str, component: Component) -> tuple[str, str] | None:
    device = _DEVICE.search(cause)
    if device is None:
        return None
    return "InsufficientGPU", f"none has {device[1]} free: add such a node or free one{component.gpu_cure}"


def _taint(cause: str) -> tuple[str, str] | None:
    """Only where nothing else is said: nodes of the control plane are tainted everywhere."""
    taint = _TAINT.search(cause)
    if taint is None or re.search("|".join(pattern for _, pattern, _ in _CAUSES), cause, re.IGNORECASE):
        return None
    named = f" {taint[1]}" if taint[1] else ""
    return "UntoleratedTaint", f"add a toleration for the taint{named} to spec.podTemplate.spec.tolerations"


def _other(cause: str, pod: Pod, component: Component) -> tuple[str, str]:
    claims = "".join(f" {claim}" for claim in pod.claims)
    for reason, pattern, cure in _CAUSES:
        if re.search(pattern, cause, re.IGNORECASE):
            return reason, cure.format(namespace=component.namespace, claims=claims)
    return "Unschedulable", "look at it with kubectl describe pod"
