"""What do tests run in pods, and how do they ask from there?"""

from __future__ import annotations

import base64
import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from e2e.kubectl import Kubectl, eventually, is_true

RECORDINGS: Final = Path(__file__).resolve().parents[1] / "examples" / "voices"
HER: Final = "allison-female.flac"
HIM: Final = "librivox-male.flac"
WAIT: Final = ["python3", "-c", "import signal; signal.pause()"]
_REQUEST: Final = Path(__file__).with_name("in_pod_request.py").read_text("utf-8")
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


def wait_ready(kubectl: Kubectl, name: str, seconds: float = 60) -> dict[str, Any]:
    """The pod, once it is ready."""
    found: dict[str, Any] = eventually(
        lambda: kubectl.json("get", "pod", name),
        lambda pod: is_true(pod, "Ready"),
        seconds=seconds,
        what=f"{name} ready",
    )
    return found


@dataclass(frozen=True)
class Client:
    """A pod that asks what it is told to, from inside the cluster; two recordings are with it."""

    kubectl: Kubectl
    name: str = "client"

    @classmethod
    def start(cls, kubectl: Kubectl, images: Mapping[str, str]) -> Client:
        recordings = {name: base64.b64encode((RECORDINGS / name).read_bytes()).decode() for name in (HER, HIM)}
        kubectl.apply(
            {"apiVersion": "v1", "kind": "ConfigMap", "metadata": {"name": "recordings"}, "binaryData": recordings},
            pod(
                cls.name,
                images["operator"],
                WAIT,
                mounts=[{"name": "recordings", "mountPath": "/recordings", "readOnly": True}],
                volumes=[{"name": "recordings", "configMap": {"name": "recordings"}}],
            ),
        )
        wait_ready(kubectl, cls.name)
        return cls(kubectl)

    def ask(self, method: str, url: str, **parts: Any) -> dict[str, Any]:
        """Status, headers, size, digest, and the body where it is JSON; parts are body, or recording and fields."""
        request = json.dumps({"method": method, "url": url, **parts})
        answer: dict[str, Any] = json.loads(self.kubectl.python(self.name, _REQUEST, request))
        return answer

    def speak(self, url: str, voice: str | Mapping[str, str] = "alloy", text: str = "Timbre speaks.") -> dict[str, Any]:
        body = {"model": "tts-1", "voice": voice, "input": text, "response_format": "wav"}
        return self.ask("POST", f"{url}/v1/audio/speech", body=body)

    def enrol(self, url: str, recording: str, name: str = "reader") -> str:
        """A new voice's id."""
        answer = self.ask("POST", f"{url}/v1/audio/voices", recording=recording, fields={"name": name})
        assert answer["status"] == 200, answer
        return str(answer["json"]["id"])

    def replace(self, url: str, voice: str, recording: str) -> dict[str, Any]:
        return self.ask("PUT", f"{url}/v1/audio/voices/{voice}", recording=recording)


def address(pod: Mapping[str, Any]) -> str:
    """The API of one pod, past its Service."""
    return f"http://{pod['status']['podIP']}:8000"
