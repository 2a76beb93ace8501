"""What do tests run in pods: a client that answers questions, and a load that lasts?"""

from __future__ import annotations

import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Final

from e2e.kubectl import Kubectl, eventually, is_true

_SECURITY: Final = {
    "runAsNonRoot": True,
    "runAsUser": 65532,
    "runAsGroup": 65532,
    "fsGroup": 65532,
    "seccompProfile": {"type": "RuntimeDefault"},
}
_CONTAINER_SECURITY: Final = {
    "allowPrivilegeEscalation": False,
    "readOnlyRootFilesystem": True,
    "capabilities": {"drop": ["ALL"]},
}


def pod(name: str, image: str, command: list[str], **spec: Any) -> dict[str, Any]:
    """A restricted pod of one container; ``spec`` goes to the pod, its ``mounts`` to the container."""
    mounts = [{"name": "tmp", "mountPath": "/tmp"}, *spec.pop("mounts", [])]
    return {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {"name": name},
        "spec": {
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "restartPolicy": "Never",
            "terminationGracePeriodSeconds": 0,
            "securityContext": _SECURITY,
            "containers": [
                {
                    "name": name,
                    "image": image,
                    "command": command,
                    "securityContext": _CONTAINER_SECURITY,
                    "resources": {"limits": {"memory": "256Mi"}},
                    "volumeMounts": mounts,
                }
            ],
            **spec,
            "volumes": [{"name": "tmp", "emptyDir": {}}, *spec.get("volumes", [])],
        },
    }


def start_client(kubectl: Kubectl, images: Mapping[str, str], name: str = "client") -> str:
    """A pod with Python and aiohttp that waits to be asked; its name."""
    kubectl.apply(pod(name, images["operator"], ["python3", "-c", "import signal; signal.pause()"]))
    wait_ready(kubectl, name)
    return name


def wait_ready(kubectl: Kubectl, name: str, seconds: float = 60) -> dict[str, Any]:
    """The pod, once it is ready."""
    found: dict[str, Any] = eventually(
        lambda: kubectl.json("get", "pod", name),
        lambda pod: is_true(pod, "Ready"),
        seconds=seconds,
        what=f"{name} ready",
    )
    return found


def ask(kubectl: Kubectl, client: str, url: str, body: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """One request from inside the cluster: its status, headers and size, and its body where it is JSON."""
    answer: dict[str, Any] = json.loads(
        kubectl.python(client, Path(__file__).with_name("in_pod_request.py").read_text("utf-8"), url, json.dumps(body))
    )
    return answer
