"""Does each example do what it says, or say what this node lacks?"""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from e2e.installation import REDIS, VoiceService
from e2e.kubectl import Kubectl, condition, conditions, eventually, is_true

EXAMPLES = Path(__file__).resolve().parents[1] / "examples"
# What a node with two processors, no GPU, no KEDA and nobody's Redis cannot give: condition, its status, reason.
LACKS = {
    "external-redis": ("RedisReady", "False", "SecretMissing"),
    "gpu": ("Ready", "False", None),
    "keda": ("AutoscalingActive", "False", None),
    "preload": ("Degraded", "True", "VolumePending"),  # its recordings lie on somebody's volume
    "autoscaled": ("Degraded", "True", "InsufficientCPU"),
}
pytestmark = pytest.mark.usefixtures("timbre")


def manifests(file: Path) -> list[dict[str, object]]:
    return list(yaml.safe_load_all(file.read_text("utf-8")))


@pytest.mark.parametrize("file", sorted(EXAMPLES.glob("*.yaml")), ids=lambda file: file.stem)
def test_example_is_ready_or_names_what_is_lacking(namespace: Kubectl, file: Path) -> None:
    (manifest,) = manifests(file)
    namespace.apply(manifest)
    service = VoiceService(namespace, manifest["metadata"]["name"], manifest.get("spec", {}))
    if file.stem not in LACKS:
        eventually(lambda: truthful(service), lambda seen: is_true(seen, "Ready"), seconds=60, shown=conditions)
        service.ready(60)
        assert condition(service.manifest(), "Ready")["reason"] in {"Serving", "Degraded"}
        return
    kind, status, reason = LACKS[file.stem]
    found = service.until_condition(kind, status, seconds=60)
    assert reason is None or found["reason"] == reason, found


def truthful(service: VoiceService) -> dict[str, object]:
    """The manifest at this step of the start; no condition comes before what it says.

    Pods are read after the conditions, and none of them goes away meanwhile.  Redis may answer the operator before kubelet.
    """
    manifest = service.manifest()
    if is_true(manifest, "Ready"):
        assert service.ready_pods(), conditions(manifest)
    if is_true(manifest, "RedisReady"):
        assert any(pod["status"]["phase"] == "Running" for pod in service.pods(REDIS)), conditions(manifest)
    return manifest
