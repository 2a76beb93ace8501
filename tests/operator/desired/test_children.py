"""Which objects there are, what all of them have, and which field of the spec changes what."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.desired.children import children_of, inputs_of
from tests.operator.desired.field_changes import CHANGES, changed
from tests.operator.manifests import a_service
from timbre_contract import labels
from timbre_operator.desired import OptionalKind, build_children
from timbre_operator.voiceservice import build_crd

_ALL = {
    "ServiceAccount/narrator", "Secret/narrator-redis", "Secret/narrator-redis-acl", "ConfigMap/narrator-redis",
    "Service/narrator-redis", "NetworkPolicy/narrator-redis", "StatefulSet/narrator-redis", "Service/narrator",
    "Service/narrator-headless", "NetworkPolicy/narrator", "Deployment/narrator", "HorizontalPodAutoscaler/narrator",
    "PodMonitor/narrator", "PodMonitor/narrator-redis", "PrometheusRule/narrator",
}  # fmt: skip


def test_the_smallest_service_has_everything_that_it_needs() -> None:
    assert set(children_of(a_service())) == _ALL


def test_an_external_redis_brings_no_redis() -> None:
    assert {child for child in _ALL if "redis" not in child} == set(children_of(a_service().on_external_redis()))


def test_a_cluster_without_prometheus_operator_gets_none_of_its_kinds() -> None:
    children = children_of(a_service(), kinds=frozenset())
    assert set(children) == {child for child in _ALL if not child.startswith(("PodMonitor/", "PrometheusRule/"))}


def test_every_child_is_labelled_owned_and_in_the_namespace_of_its_owner() -> None:
    for name, child in children_of(a_service()).items():
        metadata = child["metadata"]
        assert metadata["namespace"] == "studio", name
        assert metadata["labels"][labels.MANAGED_BY_LABEL] == "timbre-operator", name
        assert metadata["labels"][labels.INSTANCE_LABEL] == "narrator", name
        assert metadata["ownerReferences"] == [
            {"apiVersion": "timbre.dev/v1alpha1", "kind": "VoiceService", "name": "narrator", "uid": "0a1b2c3d",
             "controller": True}
        ], name  # fmt: skip


def test_outside_of_a_cluster_children_have_no_owner() -> None:
    service = a_service()
    del service.manifest["metadata"]["uid"]
    assert all("ownerReferences" not in child["metadata"] for child in children_of(service).values())


def test_selectors_meet_exactly_the_pods_of_their_component() -> None:
    children = children_of(a_service())
    server = children["Deployment/narrator"]["spec"]["template"]["metadata"]["labels"]
    redis = children["StatefulSet/narrator-redis"]["spec"]["template"]["metadata"]["labels"]
    assert children["Deployment/narrator"]["spec"]["selector"]["matchLabels"].items() <= server.items()
    assert children["Service/narrator"]["spec"]["selector"].items() <= server.items()
    assert children["Service/narrator-redis"]["spec"]["selector"].items() <= redis.items()
    assert not children["Service/narrator"]["spec"]["selector"].items() <= redis.items()


def test_equal_inputs_give_equal_children() -> None:
    assert children_of(a_service()) == children_of(a_service())


def test_names_of_children_fit_into_a_label() -> None:
    """A StatefulSet puts its name and 11 characters into a label of its pods; labels and Services have 63."""
    name = "n" * 40
    for child in build_children(inputs_of(a_service().called(name))):
        assert len(child["metadata"]["name"]) + 11 <= 63


def test_no_two_services_of_a_namespace_share_a_child() -> None:
    assert not set(children_of(a_service().called("a"))) & set(children_of(a_service().called("a-b")))


@pytest.mark.parametrize("path", CHANGES)
def test_a_field_changes_what_it_should_and_nothing_else(path: str) -> None:
    service, value, expected = CHANGES[path]
    before, after = children_of(service), children_of(changed(service, path, value))
    assert {name for name in before | after if before.get(name) != after.get(name)} == expected


def _leaves(schema: dict[str, Any], path: str = "") -> list[str]:
    if properties := schema.get("properties"):
        return [leaf for name, part in properties.items() for leaf in _leaves(part, f"{path}.{name}" if path else name)]
    if "items" in schema:
        return _leaves(schema["items"], f"{path}[]")
    return [f"{path}.*" if "additionalProperties" in schema else path]


def test_every_field_of_the_crd_changes_something() -> None:
    spec = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert set(_leaves(spec)) == set(CHANGES)


def test_a_missing_keda_is_not_promised_an_object() -> None:
    children = children_of(a_service().scaled_by("KEDA"), kinds=frozenset({OptionalKind.POD_MONITOR}))
    assert not {"ScaledObject/narrator", "HorizontalPodAutoscaler/narrator"} & set(children)


@pytest.mark.parametrize("autoscaler", ["External", "None"])
def test_who_scales_by_himself_gets_no_autoscaler(autoscaler: str) -> None:
    kinds = {name.partition("/")[0] for name in children_of(a_service().scaled_by(autoscaler))}
    assert not {"ScaledObject", "HorizontalPodAutoscaler"} & kinds
