"""What is known of a service while it scales, made by chaining: ``a_scene().with_pods(2).asked(work=3.0)``."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Self

from tests.operator.manifests import AService, a_service
from timbre_operator.observed import Load, Manifest, Observed, Trend

_OWNERS = [{"uid": "0a1b2c3d", "controller": True}]


@dataclass(frozen=True)
class AScene:
    """One moment."""

    service: AService
    replicas: int | None = 1
    load: Load | None = field(default_factory=Load)
    hpa: Mapping[str, tuple[str, str]] | None = None
    """Conditions of the HPA: status and reason by type."""
    metrics_api: str | None = None

    def scaled_by(self, autoscaler: str = "HPA", **fields: Any) -> Self:
        return replace(self, service=self.service.scaled_by(autoscaler, **fields))

    def with_pods(self, replicas: int | None) -> Self:
        return replace(self, replicas=replicas)

    def asked(self, *, queue: float = 0, work: float = 0.0, extraction: float = 0.0, **trend: Any) -> Self:
        load = Load(queue_depth=int(queue), work_seconds=work, extraction_seconds=extraction, trend=Trend(**trend))
        return replace(self, load=load)

    def with_load(self, load: Load | None) -> Self:
        return replace(self, load=load)

    def judged(self, **conditions: tuple[str, str]) -> Self:
        """Conditions of its HPA."""
        return replace(self, hpa=conditions)

    def unread(self, why: str) -> Self:
        return replace(self, metrics_api=why)

    def observed(self) -> Observed:
        return Observed(
            service=self.service.built(), found=tuple(self._found()), load=self.load, metrics_api=self.metrics_api
        )

    def _found(self) -> list[Manifest]:
        metadata = {"name": "narrator", "namespace": "studio", "ownerReferences": _OWNERS}
        found: list[Manifest] = []
        if self.replicas is not None:
            found.append({"kind": "Deployment", "metadata": metadata, "spec": {"replicas": self.replicas}})
        if self.hpa is not None:
            conditions = [
                {"type": kind, "status": status, "reason": reason, "message": "in its own words"}
                for kind, (status, reason) in self.hpa.items()
            ]
            found.append(
                {
                    "kind": "HorizontalPodAutoscaler",
                    "metadata": metadata,
                    "spec": {},
                    "status": {"conditions": conditions},
                }
            )
        return found


def a_scene() -> AScene:
    """One pod at rest under an HPA of 1 to 5 pods."""
    return AScene(a_service())
