"""How is Timbre installed here, and what does a test ask of a VoiceService?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from e2e.kubectl import Kubectl, KubectlError, condition, conditions, eventually, is_true

API_VERSION: Final = "timbre.dev/v1alpha1"
SERVER: Final = "app.kubernetes.io/component=server"
REDIS: Final = "app.kubernetes.io/component=redis"
_DELETION_COST: Final = "controller.kubernetes.io/pod-deletion-cost"
HOME: Final = "timbre-system"
OPERATOR: Final = "deployment/timbre-operator"
OPERATOR_PODS: Final = "app.kubernetes.io/name=timbre-operator"


@dataclass(frozen=True)
class Installation:
    """The chart's release, of images that were built here."""

    kubectl: Kubectl
    """In the release's namespace."""
    chart: Path
    images: Mapping[str, str]

    def install(self, **values: Any) -> None:
        """Installs or upgrades, and waits until every operator is ready."""
        given = {
            "images.operator": self.images["operator"],
            "images.server": self.images["server"],
            "images.redis": self.images["redis"],
            "images.exporter": self.images["redis-exporter"],
            "replicas": 1,
            **values,
        }
        settings = ",".join(f"{name}={value}" for name, value in given.items())
        self.kubectl.run(
            "helm",
            "upgrade",
            "--install",
            "timbre",
            str(self.chart),
            "--set",
            settings,
            "--wait",
            "--timeout",
            "120s",
            seconds=130,
        )

    def uninstall(self) -> None:
        self.kubectl.run("helm", "uninstall", "timbre", "--wait", "--timeout", "120s", seconds=130)

    def scale(self, replicas: int) -> None:
        """How many operators there are, until that is so."""
        self.kubectl("scale", OPERATOR, f"--replicas={replicas}")
        if replicas:
            self.kubectl.rolled_out(OPERATOR)
        else:
            eventually(lambda: not self.operators(), seconds=60, what="the end of the operators")

    def operators(self) -> list[dict[str, Any]]:
        return self.kubectl.items("pods", "-l", OPERATOR_PODS)


@dataclass(frozen=True)
class VoiceService:
    """One that a test made."""

    kubectl: Kubectl
    """In its namespace."""
    name: str
    spec: Mapping[str, Any] = field(default_factory=dict)

    def apply(self, **changes: Any) -> VoiceService:
        """Writes the spec, with fields of its first level replaced."""
        spec = {**self.spec, **changes}
        self.kubectl.apply(
            {"apiVersion": API_VERSION, "kind": "VoiceService", "metadata": {"name": self.name}, "spec": spec}
        )
        return VoiceService(self.kubectl, self.name, spec)

    def ready(self, seconds: float = 60) -> VoiceService:
        """Waits until the operator has seen this spec and the service is ready, with nothing to add."""
        self.until(
            lambda manifest: (
                condition(manifest, "Ready").get("observedGeneration") == manifest["metadata"]["generation"]
                and is_true(manifest, "Ready")
                and condition(manifest, "Progressing").get("status") == "False"
            ),
            seconds=seconds,
        )
        return self

    def until(self, true: Any, seconds: float = 60) -> dict[str, Any]:
        """Its manifest, once it is as wanted."""
        found: dict[str, Any] = eventually(
            self.manifest, true, seconds=seconds, what=f"VoiceService {self.name}", shown=conditions
        )
        return found

    def until_condition(self, kind: str, status: str, *, says: str = "", seconds: float = 60) -> Mapping[str, Any]:
        """One of its conditions, once it has that status and its message holds the words."""

        def true(manifest: dict[str, Any]) -> bool:
            found = condition(manifest, kind)
            return found.get("status") == status and says.lower() in found.get("message", "").lower()

        return condition(self.until(true, seconds), kind)

    def manifest(self) -> dict[str, Any]:
        found: dict[str, Any] = self.kubectl.json("get", "voiceservice", self.name)
        return found

    @property
    def url(self) -> str:
        """Through its Service, from inside the cluster."""
        return f"http://{self.name}.{self.kubectl.namespace}.svc.cluster.local:8000"

    def pods(self, component: str = SERVER) -> list[dict[str, Any]]:
        """Those that are not about to end, the oldest first."""
        found = self.kubectl.items("pods", "-l", f"{component},app.kubernetes.io/instance={self.name}")
        living = [pod for pod in found if "deletionTimestamp" not in pod["metadata"]]
        return sorted(living, key=lambda pod: str(pod["metadata"]["creationTimestamp"]))

    def ready_pods(self) -> list[dict[str, Any]]:
        return [pod for pod in self.pods() if is_true(pod, "Ready")]

    def deletion_costs(self) -> dict[str, int]:
        """Of each pod that is not about to end, by its name: the ReplicaSet takes the lowest first."""
        return {
            pod["metadata"]["name"]: int(pod["metadata"].get("annotations", {}).get(_DELETION_COST, "0"))
            for pod in self.pods()
        }


def delete_service(service: VoiceService) -> None:
    """Deletes it; its children follow."""
    try:
        service.kubectl("delete", "voiceservice", service.name)
    except KubectlError as error:
        if "NotFound" not in str(error):
            raise
