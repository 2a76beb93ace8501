"""Which names does Timbre have inside Kubernetes: its API, and the labels and annotations of what it makes?"""

from typing import Final

GROUP: Final = "timbre.dev"
VERSION: Final = "v1alpha1"
API_VERSION: Final = f"{GROUP}/{VERSION}"
KIND: Final = "VoiceService"
PLURAL: Final = "voiceservices"

FIELD_MANAGER: Final = "timbre-operator"
"""Under this name the operator applies what it owns."""

HANDOVER_MANAGER: Final = "timbre-operator-handover"
"""Under this name it applies a field that it is about to leave to somebody else, so that the field keeps its value."""

# https://kubernetes.io/docs/concepts/overview/working-with-objects/common-labels/
NAME_LABEL: Final = "app.kubernetes.io/name"
INSTANCE_LABEL: Final = "app.kubernetes.io/instance"
COMPONENT_LABEL: Final = "app.kubernetes.io/component"
PART_OF_LABEL: Final = "app.kubernetes.io/part-of"
MANAGED_BY_LABEL: Final = "app.kubernetes.io/managed-by"

APPLICATION: Final = "timbre"
SERVER_COMPONENT: Final = "server"
REDIS_COMPONENT: Final = "redis"

APPLIED_ANNOTATION: Final = f"{GROUP}/applied"
"""Digest of what was applied last, on objects that the operator made: tells a field that is no longer wanted."""
CREATE_ONCE_ANNOTATION: Final = f"{GROUP}/create-once"
"""On an object that is made where it is missing and never changed afterwards: generated passwords."""
CONFIG_CHECKSUM_ANNOTATION: Final = f"{GROUP}/config-checksum"
"""On pods: digest of the files that they read once, at their start."""

QUEUE_DEPTH_SERIES: Final = "timbre_queue_depth"
WORK_SECONDS_SERIES: Final = "timbre_work_seconds"
WORKING_SET_SERIES: Final = "timbre_voice_working_set_bytes"


def series_path(namespace: str, name: str, series: str) -> str:
    """Where the operator serves a series as ``{"value": ...}`` to those who cannot read the metrics API: KEDA."""
    return f"/series/{namespace}/{name}/{series}"


def scope(namespace: str, name: str) -> str:
    """``TIMBRE_SCOPE`` of a VoiceService: equal names in two namespaces never share a key."""
    return f"{namespace}.{name}"


def selector(instance: str, component: str) -> dict[str, str]:
    """Labels that select the pods of one component of one VoiceService, inside its namespace."""
    return {NAME_LABEL: APPLICATION, INSTANCE_LABEL: instance, COMPONENT_LABEL: component}
