"""The API's answers, to the letter."""

from __future__ import annotations

from datetime import UTC, datetime
from http import HTTPStatus

from timbre_contract import labels
from timbre_operator.metricsapi import documents
from timbre_operator.ports import ServiceKey

NOW = datetime(2026, 11, 23, 9, 30, 15, 999999, UTC)


def test_a_value_names_its_object_its_series_and_its_moment() -> None:
    values = [(ServiceKey("studio", "narrator"), 1.5)]
    assert documents.value_list("timbre_work_seconds", values, NOW) == {
        "kind": "MetricValueList",
        "apiVersion": "custom.metrics.k8s.io/v1beta2",
        "metadata": {},
        "items": [
            {
                "describedObject": {
                    "kind": "VoiceService",
                    "namespace": "studio",
                    "name": "narrator",
                    "apiVersion": "timbre.dev/v1alpha1",
                },
                "metric": {"name": "timbre_work_seconds", "selector": None},
                "timestamp": "2026-11-23T09:30:15Z",
                "value": "1500m",
            }
        ],
    }


def test_discovery_lists_every_series_as_a_resource_of_voice_services() -> None:
    assert documents.resource_list() == {
        "kind": "APIResourceList",
        "apiVersion": "v1",
        "groupVersion": "custom.metrics.k8s.io/v1beta2",
        "resources": [
            {
                "name": f"voiceservices.timbre.dev/{series}",
                "singularName": "",
                "namespaced": True,
                "kind": "MetricValueList",
                "verbs": ["get"],
            }
            for series in (
                labels.QUEUE_DEPTH_SERIES,
                labels.WORK_SECONDS_SERIES,
                labels.WORKING_SET_SERIES,
            )
        ],
    }


def test_the_one_group_has_one_version() -> None:
    version = {"groupVersion": "custom.metrics.k8s.io/v1beta2", "version": "v1beta2"}
    group = {"name": "custom.metrics.k8s.io", "versions": [version], "preferredVersion": version}
    assert documents.group() == {"kind": "APIGroup", "apiVersion": "v1", **group}
    assert documents.group_list() == {"kind": "APIGroupList", "apiVersion": "v1", "groups": [group]}


def test_a_failure_is_a_status() -> None:
    assert documents.failure(HTTPStatus.NOT_FOUND, "gone", {"name": "x"}) == {
        "kind": "Status",
        "apiVersion": "v1",
        "metadata": {},
        "status": "Failure",
        "message": "gone",
        "reason": "NotFound",
        "code": 404,
        "details": {"name": "x"},
    }
