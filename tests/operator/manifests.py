"""VoiceServices for tests, made by chaining: ``a_service().with_gpu().scaled_by("KEDA")``."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any, Self

from timbre_operator.voiceservice import VoiceService, from_manifest


def merged(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A JSON merge patch (RFC 7396), except that null stays."""
    result = dict(base)
    for name, value in patch.items():
        old = result.get(name)
        result[name] = merged(old, value) if isinstance(value, Mapping) and isinstance(old, Mapping) else value
    return copy.deepcopy(result)


class AService:
    """An immutable manifest under construction."""

    def __init__(self, manifest: Mapping[str, Any]) -> None:
        self.manifest = dict(manifest)

    def with_spec(self, **spec: Any) -> Self:
        """Merges into the spec."""
        return type(self)(merged(self.manifest, {"spec": spec}))

    def called(self, name: str, namespace: str = "studio") -> Self:
        return type(self)(merged(self.manifest, {"metadata": {"name": name, "namespace": namespace}}))

    def with_gpu(self, count: int = 1) -> Self:
        return self.with_spec(resources={"limits": {"nvidia.com/gpu": count}})

    def scaled_by(self, autoscaler: str, **fields: Any) -> Self:
        return self.with_spec(autoscaling={"class": autoscaler, **fields})

    def on_external_redis(self, **fields: Any) -> Self:
        return self.with_spec(redis={"external": {"address": "redis.shared:6379", **fields}})

    def built(self) -> VoiceService:
        return from_manifest(self.manifest)


def a_service() -> AService:
    """The smallest one that there is, as the API server gives it back."""
    return AService(
        {
            "apiVersion": "timbre.dev/v1alpha1",
            "kind": "VoiceService",
            "metadata": {"name": "narrator", "namespace": "studio", "uid": "0a1b2c3d", "generation": 1},
            "spec": {},
        }
    )
