"""The operator's rights: one for each kind that it touches, and none that would let it do more."""

from __future__ import annotations

from typing import Any

import pytest
import yaml

from tests.operator.desired.children import children_of
from tests.operator.manifests import a_service
from timbre_operator.__main__ import main
from timbre_operator.kinds import WATCHED, kind_of, service_of
from timbre_operator.ports import ServiceKey
from timbre_operator.rights import build_rbac, home_rights, service_rights

HOME = "timbre-system"


def _rules(kind: str, **choices: Any) -> list[dict[str, Any]]:
    objects = build_rbac(operator_namespace=HOME, **choices)
    return [rule for role in objects if role["kind"] == kind for rule in role["rules"]]


def test_every_child_may_be_made_changed_and_removed() -> None:
    allowed = {resource: set(right.verbs) for right in service_rights() for resource in right.resources}
    for child in children_of(a_service()).values():
        assert allowed[kind_of(child).plural] == {"get", "list", "watch", "create", "patch", "delete"}


def test_everything_that_is_watched_may_be_watched() -> None:
    allowed = {(right.group, resource): right.verbs for right in service_rights() for resource in right.resources}
    for watched in WATCHED:
        assert {"list", "watch"} <= set(allowed[watched.group, watched.kind.plural])


def test_nothing_is_a_wildcard_and_nothing_leads_to_more_rights() -> None:
    forbidden = {"rbac.authorization.k8s.io", "pods/exec", "impersonate", "escalate", "bind", "deletecollection"}
    for right in (*service_rights(), *home_rights()):
        names = {right.group, *right.resources, *right.verbs}
        assert not any("*" in name for name in names)
        assert names.isdisjoint(forbidden)


def test_what_users_wrote_is_read_only() -> None:
    verbs = {resource: right.verbs for right in service_rights() for resource in right.resources}
    assert verbs["voiceservices"] == ("list", "watch")
    assert verbs["voiceservices/status"] == ("patch",)


def test_with_namespaces_nothing_is_cluster_wide() -> None:
    objects = build_rbac(namespaces=["studio", "radio"], operator_namespace=HOME, metrics_api=False)
    assert {item["kind"] for item in objects} == {"Role", "RoleBinding"}
    assert {item["metadata"]["namespace"] for item in objects} == {"studio", "radio", HOME}


def test_both_installations_have_the_same_rights() -> None:
    assert _rules("ClusterRole") == _rules("Role", namespaces=["studio"])[: len(_rules("ClusterRole"))]


def test_only_the_own_lease_may_be_read_and_changed() -> None:
    named = [rule for rule in _rules("Role", lease="mine") if rule["verbs"] != ["create"]]
    assert [(rule["resourceNames"], rule["verbs"]) for rule in named] == [(["mine"], ["get", "update"])]


def test_the_account_is_the_subject_of_every_binding() -> None:
    for item in build_rbac(namespaces=["studio"], operator_namespace=HOME, account="me"):
        if item["kind"].endswith("Binding"):
            assert item["subjects"] == [{"kind": "ServiceAccount", "name": "me", "namespace": HOME}]


def test_the_command_prints_them(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["rbac", "--namespace", "studio"]) == 0
    printed = list(yaml.safe_load_all(capsys.readouterr().out))
    assert printed == build_rbac(namespaces=["studio"], operator_namespace=HOME)


def test_an_object_belongs_to_the_service_of_its_labels() -> None:
    for child in children_of(a_service()).values():
        assert service_of(child) == ServiceKey("studio", "narrator")
    stranger = {"kind": "Pod", "metadata": {"name": "x", "namespace": "studio", "labels": {"app": "x"}}}
    assert service_of(stranger) is None
