"""The API server's record of what we applied is read as it writes it."""

from __future__ import annotations

import json
from typing import Any

import pytest

from timbre_operator.plan.owned_fields import first_unwanted, owns

# As kube-apiserver writes it for a Deployment.
_FIELDS: dict[str, Any] = {
    "f:metadata": {"f:labels": {"f:app": {}}},
    "f:spec": {
        "f:replicas": {},
        "f:template": {
            "f:spec": {
                "f:containers": {
                    'k:{"name":"server"}': {
                        ".": {},
                        "f:name": {},
                        "f:args": {},
                        "f:ports": {'k:{"containerPort":8000,"protocol":"TCP"}': {".": {}, "f:containerPort": {}}},
                    }
                }
            }
        },
        "f:finalizers": {'v:"a"': {}},
        "f:steps": {"i:1": {}},
    },
}


def _wanted() -> dict[str, Any]:
    server = {"name": "server", "args": [], "ports": [{"containerPort": 8000}]}
    spec = {"replicas": 1, "template": {"spec": {"containers": [server]}}, "finalizers": ["a"], "steps": [1, 2]}
    return {"metadata": {"labels": {"app": "x"}}, "spec": spec}


def _found(**entry: Any) -> dict[str, Any]:
    ours = {"manager": "timbre-operator", "operation": "Apply", "fieldsV1": _FIELDS, **entry}
    return {
        "metadata": {"managedFields": [{"manager": "kubectl", "operation": "Update", "fieldsV1": {"f:x": {}}}, ours]}
    }


def test_where_all_is_wanted_nothing_is_unwanted() -> None:
    assert first_unwanted(_wanted(), _found()) is None


@pytest.mark.parametrize(
    ("changed", "path"),
    [
        ('{"metadata": {}}', "metadata.labels"),
        ('{"metadata": {"labels": {}}}', "metadata.labels.app"),
        ('{"spec": {"replicas": 1}}', "spec.template"),
        (
            '{"spec": {"replicas": 1, "template": {"spec": {"containers": []}}}}',
            "spec.template.spec.containers[server]",
        ),
    ],
)
def test_what_is_gone_is_named(changed: str, path: str) -> None:
    assert first_unwanted({**_wanted(), **json.loads(changed)}, _found()) == path


def test_items_are_found_by_key_value_and_place() -> None:
    wanted = _wanted()
    wanted["spec"]["template"]["spec"]["containers"][0]["ports"] = [{"containerPort": 9000}]
    assert first_unwanted(wanted, _found()) == "spec.template.spec.containers[server].ports[8000]"
    wanted = _wanted()
    wanted["spec"]["finalizers"] = ["b"]
    assert first_unwanted(wanted, _found()) == "spec.finalizers[a]"
    wanted = _wanted()
    wanted["spec"]["steps"] = [1]
    assert first_unwanted(wanted, _found()) == "spec.steps[1]"


@pytest.mark.parametrize("entry", [{"manager": "kubectl"}, {"operation": "Update"}, {"subresource": "status"}])
def test_what_others_applied_is_not_ours(entry: dict[str, str]) -> None:
    assert first_unwanted({"metadata": {}, "spec": {}}, _found(**entry)) is None


def test_an_object_without_the_record_tells_nothing() -> None:
    assert first_unwanted({}, {"metadata": {}}) is None


def test_a_field_is_owned_where_the_whole_path_is() -> None:
    assert owns(_found(), "spec", "replicas")
    assert not owns(_found(), "spec", "paused")
    assert not owns(_found(manager="kubectl"), "spec", "replicas")
    assert not owns({"metadata": {}}, "spec", "replicas")
