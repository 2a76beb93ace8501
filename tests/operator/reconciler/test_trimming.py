"""What of an object is kept in memory."""

from __future__ import annotations

from typing import Any

from timbre_operator.reconciler.trimming import trimmed

OURS = {"manager": "timbre-operator", "operation": "Apply", "fieldsV1": {"f:spec": {}}}
OTHERS = (
    {"manager": "kube-controller-manager", "operation": "Update", "subresource": "status"},
    {"manager": "timbre-operator", "operation": "Apply", "subresource": "status"},
    {"manager": "timbre-operator", "operation": "Update"},
)


def _made(kind: str) -> dict[str, Any]:
    annotations = {"kubectl.kubernetes.io/last-applied-configuration": "{}", "a": "b"}
    return {"kind": kind, "metadata": {"name": "x", "managedFields": [OURS, *OTHERS], "annotations": annotations}}


def test_only_our_own_fields_are_kept_because_only_they_are_compared() -> None:
    assert trimmed(_made("Deployment"))["metadata"]["managedFields"] == [OURS]


def test_a_pod_is_never_compared() -> None:
    assert "managedFields" not in trimmed(_made("Pod"))["metadata"]


def test_the_object_as_text_is_left_out_and_other_annotations_are_not() -> None:
    assert trimmed(_made("VoiceService"))["metadata"]["annotations"] == {"a": "b"}


def test_the_object_that_came_in_stays_as_it_was() -> None:
    made = _made("Deployment")
    trimmed(made)
    assert made == _made("Deployment")
