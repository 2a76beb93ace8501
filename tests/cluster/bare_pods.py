"""Pods for tests of what a node does, without a VoiceService: as small as the Pod Security Standard "restricted" lets them be."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from tests.cluster.api import Object


def a_pod(namespace: str, name: str = "bare", *, image: str = "registry/anything:1", **spec: Any) -> Object:
    """One container called server; ``spec`` is the pod's, and ``container`` in it the container's."""
    container = {
        "name": "server",
        "image": image,
        "terminationMessagePolicy": "FallbackToLogsOnError",
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
        **spec.pop("container", {}),
    }
    metadata = {"name": name, "namespace": namespace, "labels": {"app": name}, **spec.pop("metadata", {})}
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": metadata,
        "spec": {
            "automountServiceAccountToken": False,
            "terminationGracePeriodSeconds": 5,
            "securityContext": {"runAsNonRoot": True, "seccompProfile": {"type": "RuntimeDefault"}},
            "containers": [container],
            **spec,
        },
    }


def a_service(namespace: str, name: str, *, app: str = "", port: int = 8000, target: int | str = 0) -> Object:
    """Leads to the pods of this ``app``."""
    spec = {"selector": {"app": app or name}, "ports": [{"port": port, "targetPort": target or port}]}
    return {"apiVersion": "v1", "kind": "Service", "metadata": {"name": name, "namespace": namespace}, "spec": spec}


def container_state(pod: Object) -> dict[str, Any]:
    """``state`` of the only container, as ``{"waiting": {"reason": ...}}``; empty before there is any."""
    statuses: Sequence[dict[str, Any]] = pod["status"].get("containerStatuses") or [{}]
    state: dict[str, Any] = statuses[0].get("state") or {}
    return state


def waits_for(reason: str) -> Any:
    """A claim about a pod, for ``Api.until``."""
    return lambda pod: container_state(pod).get("waiting", {}).get("reason") == reason


def is_ready(pod: Object) -> bool:
    """Whether the pod is ready."""
    return any(c["type"] == "Ready" and c["status"] == "True" for c in pod["status"].get("conditions") or ())
