"""Which kinds of objects does the operator look at, and which of them are its own?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from timbre_contract import labels
from timbre_operator.observed import OptionalKind
from timbre_operator.ports import Kind, ServiceKey


@dataclass(frozen=True)
class Watched:
    """One kind that is watched."""

    kind: Kind
    selector: Mapping[str, str]
    """Labels of the objects that count; all where it is empty."""
    optional: OptionalKind | None = None
    """Set where a cluster may lack the kind."""

    @property
    def group(self) -> str:
        """API group; empty for the core."""
        return group_of(self.kind)


_OURS: Final = {labels.MANAGED_BY_LABEL: labels.FIELD_MANAGER}
# Made by controllers from our templates, which carry the labels that select them and no others.
_SELECTED: Final = {labels.NAME_LABEL: labels.APPLICATION}

VOICE_SERVICE: Final = Kind(labels.API_VERSION, labels.KIND, labels.PLURAL)
SECRET: Final = Kind("v1", "Secret", "secrets")
POD: Final = Kind("v1", "Pod", "pods")
CLAIM: Final = Kind("v1", "PersistentVolumeClaim", "persistentvolumeclaims")
EVENT: Final = Kind("v1", "Event", "events")
LEASE: Final = Kind("coordination.k8s.io/v1", "Lease", "leases")
DEPLOYMENT: Final = Kind("apps/v1", "Deployment", "deployments")

CHILDREN: Final = (
    Watched(DEPLOYMENT, _OURS),
    Watched(Kind("apps/v1", "StatefulSet", "statefulsets"), _OURS),
    Watched(Kind("v1", "Service", "services"), _OURS),
    Watched(Kind("v1", "ConfigMap", "configmaps"), _OURS),
    Watched(SECRET, _OURS),
    Watched(Kind("v1", "ServiceAccount", "serviceaccounts"), _OURS),
    Watched(Kind("autoscaling/v2", "HorizontalPodAutoscaler", "horizontalpodautoscalers"), _OURS),
    Watched(Kind("policy/v1", "PodDisruptionBudget", "poddisruptionbudgets"), _OURS),
    Watched(Kind("networking.k8s.io/v1", "NetworkPolicy", "networkpolicies"), _OURS),
    Watched(Kind("keda.sh/v1alpha1", "ScaledObject", "scaledobjects"), _OURS, OptionalKind.SCALED_OBJECT),
    Watched(Kind("monitoring.coreos.com/v1", "PodMonitor", "podmonitors"), _OURS, OptionalKind.POD_MONITOR),
    Watched(Kind("monitoring.coreos.com/v1", "PrometheusRule", "prometheusrules"), _OURS, OptionalKind.PROMETHEUS_RULE),
)
"""What ``desired`` builds."""

WATCHED: Final = (Watched(VOICE_SERVICE, {}), *CHILDREN, Watched(CLAIM, _SELECTED), Watched(POD, _SELECTED))

_BY_NAME: Final = {watched.kind.kind: watched.kind for watched in WATCHED}


def kind_of(manifest: Mapping[str, Any]) -> Kind:
    """The kind of an object that the operator knows.

    Raises:
        KeyError: it is of no such kind.
    """
    return _BY_NAME[manifest["kind"]]


def group_of(kind: Kind) -> str:
    """API group; empty for the core."""
    group, _, version = kind.api_version.rpartition("/")
    return group if version else ""


def service_of(manifest: Mapping[str, Any]) -> ServiceKey | None:
    """The VoiceService that an object is, or belongs to by its labels; None where it belongs to none."""
    metadata = manifest["metadata"]
    if manifest["kind"] == labels.KIND:
        return ServiceKey(metadata["namespace"], metadata["name"])
    marks = metadata.get("labels") or {}
    instance = marks.get(labels.INSTANCE_LABEL)
    if marks.get(labels.NAME_LABEL) != labels.APPLICATION or not instance:
        return None
    return ServiceKey(metadata["namespace"], instance)
