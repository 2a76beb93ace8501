"""What does ``custom.metrics.k8s.io`` answer, to the letter?  Pure.

References: kubernetes ``staging/src/k8s.io/metrics/pkg/apis/custom_metrics/v1beta2/types.go``; for the lists of discovery and
for failures ``staging/src/k8s.io/apimachinery/pkg/apis/meta/v1/types.go``.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import datetime
from http import HTTPStatus
from typing import Any, Final

from timbre_contract import labels
from timbre_operator.ports import ServiceKey
from timbre_operator.voiceservice.measures import to_quantity

GROUP: Final = "custom.metrics.k8s.io"
VERSION: Final = "v1beta2"
GROUP_VERSION: Final = f"{GROUP}/{VERSION}"
RESOURCE: Final = f"{labels.PLURAL}.{labels.GROUP}"
"""How the HPA names the kind that a series describes."""
SERIES: Final = (labels.QUEUE_DEPTH_SERIES, labels.WORK_SECONDS_SERIES, labels.WORKING_SET_SERIES)

_REASONS: Final = {
    HTTPStatus.BAD_REQUEST: "BadRequest",
    HTTPStatus.UNAUTHORIZED: "Unauthorized",
    HTTPStatus.FORBIDDEN: "Forbidden",
    HTTPStatus.NOT_FOUND: "NotFound",
    HTTPStatus.METHOD_NOT_ALLOWED: "MethodNotAllowed",
    HTTPStatus.SERVICE_UNAVAILABLE: "ServiceUnavailable",
}


def group_list() -> dict[str, Any]:
    """All API groups that are served here: one."""
    return {"kind": "APIGroupList", "apiVersion": "v1", "groups": [_group()]}


def group() -> dict[str, Any]:
    """The one group."""
    return {"kind": "APIGroup", "apiVersion": "v1", **_group()}


def resource_list() -> dict[str, Any]:
    """The series as resources; the API server asks for this to see whether the operator is there."""
    resources = [
        {
            "name": f"{RESOURCE}/{series}",
            "singularName": "",
            "namespaced": True,
            "kind": "MetricValueList",
            "verbs": ["get"],
        }
        for series in SERIES
    ]
    return {"kind": "APIResourceList", "apiVersion": "v1", "groupVersion": GROUP_VERSION, "resources": resources}


def value_list(series: str, values: Iterable[tuple[ServiceKey, float]], now: datetime) -> dict[str, Any]:
    """One series of each of these services."""
    items = [
        {
            "describedObject": {
                "kind": labels.KIND,
                "namespace": key.namespace,
                "name": key.name,
                "apiVersion": labels.API_VERSION,
            },
            "metric": {"name": series, "selector": None},
            "timestamp": now.strftime("%Y-%m-%dT%H:%M:%SZ"),
            "value": to_quantity(value),
        }
        for key, value in values
    ]
    return {"kind": "MetricValueList", "apiVersion": GROUP_VERSION, "metadata": {}, "items": items}


def failure(status: HTTPStatus, message: str, details: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """Why there is no answer."""
    document = {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": message,
        "reason": _REASONS[status],
        "code": int(status),
    }
    return {**document, "details": dict(details)} if details else document


def _group() -> dict[str, Any]:
    version = {"groupVersion": GROUP_VERSION, "version": VERSION}
    return {"name": GROUP, "versions": [version], "preferredVersion": version}
