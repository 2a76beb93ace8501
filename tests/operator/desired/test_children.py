"""Which objects there are, what all of them have, and which field of the spec changes what."""

from __future__ import annotations

import copy
import re
from typing import Any

import pytest

from tests.operator.desired.children import children_of, inputs_of
from tests.operator.manifests import AService, a_service
from timbre_contract import labels
from timbre_operator.desired import OptionalKind, build_children
from timbre_operator.voiceservice import build_crd

_ALL = {
    "ServiceAccount/narrator", "Secret/narrator-redis", "Secret/narrator-redis-acl", "ConfigMap/narrator-redis",
    "Service/narrator-redis", "NetworkPolicy/narrator-redis", "StatefulSet/narrator-redis", "Service/narrator",
    "Service/narrator-headless", "NetworkPolicy/narrator", "Deployment/narrator", "HorizontalPodAutoscaler/narrator",
    "PodMonitor/narrator", "PrometheusRule/narrator",
}  # fmt: skip


def test_the_smallest_service_has_everything_that_it_needs() -> None:
    assert set(children_of(a_service())) == _ALL


def test_an_external_redis_brings_no_redis() -> None:
    assert {child for child in _ALL if "redis" not in child} == set(children_of(a_service().on_external_redis()))


def test_a_cluster_without_prometheus_operator_gets_none_of_its_kinds() -> None:
    children = children_of(a_service(), kinds=frozenset())
    assert set(children) == _ALL - {"PodMonitor/narrator", "PrometheusRule/narrator"}


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


# Every field of the spec: a service, the field's new value, and the children that it changes.
_POD = {"Deployment/narrator"}
_REDIS = {"StatefulSet/narrator-redis"}
_HPA = {"HorizontalPodAutoscaler/narrator"}
_EXTERNAL = a_service().on_external_redis(
    mode="Sentinel", sentinel={"master": "m", "passwordSecretRef": {"name": "s", "key": "k"}},
    passwordSecretRef={"name": "s", "key": "k"}, tls={"caSecretRef": {"name": "s", "key": "k"},
    "certificateSecretRef": {"name": "s"}},
)  # fmt: skip
_POCKET = a_service().with_spec(engine={"name": "pocket-tts", "model": {"path": "/a"}})
_HUB = a_service().with_spec(engine={"name": "pocket-tts", "model": {"id": "a/b", "revision": "0" * 40}})
_CLAIMS = a_service().with_spec(resources={"claims": [{"name": "gpu", "request": "a"}]})
_POLICIES = {"stabilizationWindowSeconds": 1, "selectPolicy": "Max",
             "policies": [{"type": "Pods", "value": 1, "periodSeconds": 60}]}  # fmt: skip
_PACED = a_service().scaled_by("HPA", behavior={"scaleUp": _POLICIES, "scaleDown": _POLICIES})
_CHANGES: dict[str, tuple[AService, Any, set[str]]] = {
    "engine.name": (a_service(), "stub", _POD),
    "engine.model.id": (_HUB, "a/c", _POD),
    "engine.model.revision": (_HUB, "1" * 40, _POD),
    "engine.model.path": (_POCKET, "/b", _POD),
    "engine.options": (a_service(), {"threads": 2}, _POD),
    "image": (a_service(), "registry/mine:2", _POD),
    "replicas": (a_service().scaled_by("None"), 3, _POD | {"PodDisruptionBudget/narrator"}),
    "resources.limits.*": (a_service(), {"cpu": 2}, _POD),
    "resources.requests.*": (a_service(), {"cpu": "1"}, _POD),
    "resources.claims[].name": (_CLAIMS, "mig", _POD),
    "resources.claims[].request": (_CLAIMS, "b", _POD),
    "batching.maxBatchSize": (a_service(), 8, _POD),
    "batching.maxBatchCost": (a_service(), "2s", _POD),
    "batching.maxQueueDelay": (a_service(), "5ms", _POD),
    "batching.maxPending": (a_service(), "10s", _POD),
    "voiceCache.device.minBytes": (a_service(), "1Mi", _POD),
    "voiceCache.device.maxBytes": (a_service(), "3Gi", _POD),
    "voiceCache.device.keepFree": (a_service(), "10%", _POD),
    "voiceCache.host.maxBytes": (a_service(), "2Gi", _POD),
    "voiceCache.warmup.voices": (a_service(), 0, _POD),
    "voiceCache.warmup.deadline": (a_service(), "2m", _POD),
    "redis.managed.maxMemory": (a_service(), "2Gi", _REDIS | {"ConfigMap/narrator-redis"}),
    "redis.managed.storage.size": (a_service(), "9Gi", _REDIS),
    "redis.managed.storage.className": (a_service(), "fast", _REDIS),
    "redis.managed.storage.onDelete": (a_service(), "Delete", _REDIS),
    "redis.external.mode": (a_service().on_external_redis(), "Cluster", _POD),
    "redis.external.address": (_EXTERNAL, "a:1,b:2", _POD),
    "redis.external.database": (_EXTERNAL, 3, _POD),
    "redis.external.username": (_EXTERNAL, "u", _POD),
    "redis.external.passwordSecretRef.name": (_EXTERNAL, "t", _POD),
    "redis.external.passwordSecretRef.key": (_EXTERNAL, "l", _POD),
    "redis.external.sentinel.master": (_EXTERNAL, "n", _POD),
    "redis.external.sentinel.passwordSecretRef.name": (_EXTERNAL, "t", _POD),
    "redis.external.sentinel.passwordSecretRef.key": (_EXTERNAL, "l", _POD),
    "redis.external.tls.caSecretRef.name": (_EXTERNAL, "t", _POD),
    "redis.external.tls.caSecretRef.key": (_EXTERNAL, "l", _POD),
    "redis.external.tls.certificateSecretRef.name": (_EXTERNAL, "t", _POD),
    "autoscaling.class": (a_service(), "KEDA", _HPA | {"ScaledObject/narrator"}),
    "autoscaling.minReplicas": (a_service(), 2, _HPA | {"PodDisruptionBudget/narrator"}),
    "autoscaling.maxReplicas": (a_service(), 9, _HPA),
    "autoscaling.targets.queueDepth": (a_service(), 4, _HPA),
    "autoscaling.targets.utilizationPercent": (a_service(), 50, _HPA),
    "autoscaling.targets.hitRatePercent": (a_service(), 95, _POD | {"PrometheusRule/narrator"}),
    **{
        f"autoscaling.behavior.{way}.{field}": (_PACED, value, _HPA)
        for way in ("scaleUp", "scaleDown")
        for field, value in {
            "stabilizationWindowSeconds": 2, "selectPolicy": "Min", "policies[].type": "Percent", "policies[].value": 2,
            "policies[].periodSeconds": 61,
        }.items()
    },
    "rollout.strategy": (a_service(), "Replace", _POD),
    "rollout.startBudget": (a_service(), "5m", _POD),
    "drain.accept": (a_service(), "5s", _POD),
    "drain.timeout": (a_service(), "2m", _POD),
    "monitoring.podMonitor": (a_service(), "Disabled", {"PodMonitor/narrator"}),
    "monitoring.prometheusRule": (a_service(), "Disabled", {"PrometheusRule/narrator"}),
    "podTemplate.metadata.labels.*": (a_service(), {"team": "voice"}, _POD),
    "podTemplate.metadata.annotations.*": (a_service(), {"note": "x"}, _POD),
    "podTemplate.spec": (a_service(), {"nodeSelector": {"gpu": "yes"}}, _POD),
}  # fmt: skip


def _set(spec: dict[str, Any], path: str, value: Any) -> None:
    *parents, last = re.sub(r"\.\*$", "", path).replace("[]", ".0").split(".")
    part: Any = spec
    for parent in parents:
        part = part[int(parent)] if isinstance(part, list) else part.setdefault(parent, {})
    part[last] = value


@pytest.mark.parametrize("path", _CHANGES)
def test_a_field_changes_what_it_should_and_nothing_else(path: str) -> None:
    service, value, changed = _CHANGES[path]
    manifest = copy.deepcopy(service.manifest)
    _set(manifest["spec"], path, value)
    before, after = children_of(service), children_of(AService(manifest))
    assert {name for name in before | after if before.get(name) != after.get(name)} == changed


def _leaves(schema: dict[str, Any], path: str = "") -> list[str]:
    if properties := schema.get("properties"):
        return [leaf for name, part in properties.items() for leaf in _leaves(part, f"{path}.{name}" if path else name)]
    if "items" in schema:
        return _leaves(schema["items"], f"{path}[]")
    return [f"{path}.*" if "additionalProperties" in schema else path]


def test_every_field_of_the_crd_changes_something() -> None:
    spec = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]["properties"]["spec"]
    assert set(_leaves(spec)) == set(_CHANGES)


def test_a_missing_keda_is_not_promised_an_object() -> None:
    children = children_of(a_service().scaled_by("KEDA"), kinds=frozenset({OptionalKind.POD_MONITOR}))
    assert not {"ScaledObject/narrator", "HorizontalPodAutoscaler/narrator"} & set(children)


@pytest.mark.parametrize("autoscaler", ["External", "None"])
def test_who_scales_by_himself_gets_no_autoscaler(autoscaler: str) -> None:
    kinds = {name.partition("/")[0] for name in children_of(a_service().scaled_by(autoscaler))}
    assert not {"ScaledObject", "HorizontalPodAutoscaler"} & kinds
