"""Which objects does a VoiceService become, with the images that were built here and no operator running?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from timbre_contract import labels
from timbre_operator.desired import Inputs, RedisPasswords, build_children
from timbre_operator.settings import Release
from timbre_operator.voiceservice import from_manifest

PASSWORDS: Final = RedisPasswords(pods="the pods' password", operator="the operator's password")
# Made by the operator for what only an operator serves.
_NEEDS_OPERATOR: Final = {"HorizontalPodAutoscaler"}


def release(images: Mapping[str, str]) -> Release:
    """As the chart would be told."""
    return Release(
        server_image=images["server"],
        torch_image=images.get("server-torch", ""),
        redis_image=images["redis"],
        exporter_image=images["redis-exporter"],
        operator_namespace="timbre-system",
        metrics_url="http://timbre-operator.timbre-system.svc:8080",
    )


def children(images: Mapping[str, str], namespace: str, name: str, spec: Mapping[str, Any]) -> list[dict[str, Any]]:
    """In the order in which the operator applies them, and owned by nobody."""
    service = from_manifest(
        {
            "apiVersion": labels.API_VERSION,
            "kind": labels.KIND,
            "metadata": {"name": name, "namespace": namespace, "uid": "rendered"},
            "spec": dict(spec),
        }
    )
    found = build_children(Inputs(service=service, release=release(images), redis_passwords=PASSWORDS))
    for manifest in found:
        manifest["metadata"].pop("ownerReferences", None)
    return [manifest for manifest in found if manifest["kind"] not in _NEEDS_OPERATOR]
