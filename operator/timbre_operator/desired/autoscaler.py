"""Who scales the Deployment: an HPA on the operator's series, or KEDA on the same ones?"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from timbre_contract import labels
from timbre_operator.desired.inputs import Inputs, Manifest
from timbre_operator.desired.ownership import child
from timbre_operator.observed import OptionalKind
from timbre_operator.voiceservice import VoiceService

_COMPONENT: Final = labels.SERVER_COMPONENT
_POLLING_SECONDS: Final = 15
"""The HPA's own period: the two classes scale equally fast."""

# A new pod loads a model for a minute or more: upwards at once and by much, downwards slowly and one by one.  Each look of the
# HPA may double the pods, so that four times the load has its pods ordered with the second look.
_SCALE_UP: Final[Manifest] = {
    "stabilizationWindowSeconds": 0,
    "selectPolicy": "Max",
    "policies": [
        {"type": "Percent", "value": 100, "periodSeconds": 15},
        {"type": "Pods", "value": 2, "periodSeconds": 15},
    ],
}
_SCALE_DOWN: Final[Manifest] = {
    "stabilizationWindowSeconds": 300,
    "selectPolicy": "Min",
    "policies": [{"type": "Pods", "value": 1, "periodSeconds": 120}],
}


def build_autoscaler(inputs: Inputs) -> Manifest | None:
    """An HPA or a ScaledObject; None where somebody else scales, nobody does, or the cluster has no KEDA."""
    match inputs.service.spec.autoscaling.class_:
        case "HPA":
            return _build_hpa(inputs.service)
        case "KEDA" if OptionalKind.SCALED_OBJECT in inputs.kinds:
            return _build_scaled_object(inputs)
        case _:
            return None


def _build_hpa(service: VoiceService) -> Manifest:
    autoscaling = service.spec.autoscaling
    spec = {
        "scaleTargetRef": _target(service),
        "minReplicas": autoscaling.min_replicas,
        "maxReplicas": autoscaling.max_replicas,
        "behavior": _behavior(service),
        "metrics": [
            {
                "type": "Object",
                "object": {
                    "describedObject": {"apiVersion": labels.API_VERSION, "kind": labels.KIND, "name": service.name},
                    "metric": {"name": series},
                    # AverageValue: total / target, whatever number of pods is ready.
                    "target": {"type": "AverageValue", "averageValue": target},
                },
            }
            for series, target in _series(service)
        ],
    }
    return child(service, "autoscaling/v2", "HorizontalPodAutoscaler", component=_COMPONENT, spec=spec)


def _build_scaled_object(inputs: Inputs) -> Manifest:
    service = inputs.service
    autoscaling = service.spec.autoscaling
    spec = {
        "scaleTargetRef": _target(service),
        "pollingInterval": _POLLING_SECONDS,
        "minReplicaCount": autoscaling.min_replicas,
        "maxReplicaCount": autoscaling.max_replicas,
        # Without an answer KEDA holds what there is, and never falls below the minimum.
        "fallback": {
            "failureThreshold": 3,
            "replicas": autoscaling.min_replicas,
            "behavior": "currentReplicasIfHigher",
        },
        "advanced": {"horizontalPodAutoscalerConfig": {"behavior": _behavior(service)}},
        "triggers": [
            {
                "type": "metrics-api",
                "name": series.replace("_", "-"),
                "metricType": "AverageValue",
                "metadata": {
                    "url": inputs.release.metrics_url + labels.series_path(service.namespace, service.name, series),
                    "valueLocation": "value",
                    "targetValue": target,
                },
            }
            for series, target in _series(service, milli=False)
        ],
    }
    return child(service, "keda.sh/v1alpha1", "ScaledObject", component=_COMPONENT, spec=spec)


def _series(service: VoiceService, *, milli: bool = True) -> Iterator[tuple[str, str]]:
    """Each series with what one pod shall carry of it."""
    targets = service.spec.autoscaling.targets
    yield labels.QUEUE_DEPTH_SERIES, str(targets.queue_depth)
    percent = targets.utilization_percent
    # Kubernetes writes quantities below one in thousandths; KEDA reads plain numbers.
    yield labels.WORK_SECONDS_SERIES, _thousandths(percent * 10) if milli else f"{percent // 100}.{percent % 100:02}"


def _thousandths(value: int) -> str:
    return str(value // 1000) if value % 1000 == 0 else f"{value}m"


def _target(service: VoiceService) -> Manifest:
    return {"apiVersion": "apps/v1", "kind": "Deployment", "name": service.name}


def _behavior(service: VoiceService) -> Manifest:
    written = service.spec.autoscaling.behavior
    ours = {"scaleUp": _SCALE_UP, "scaleDown": _SCALE_DOWN}
    return ours | (written.model_dump(by_alias=True, exclude_none=True, mode="json") if written else {})
