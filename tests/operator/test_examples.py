"""Every example is accepted, renders, and consists of what Kubernetes knows."""

from __future__ import annotations

import copy
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.operator.desired.children import children_of
from tests.operator.kubernetes_schema import mistakes
from tests.operator.manifests import AService

EXAMPLES = {path.stem: path for path in sorted((Path(__file__).resolve().parents[2] / "examples").glob("*.yaml"))}
_FOREIGN = {"ScaledObject", "PodMonitor", "PrometheusRule"}


def _children(name: str) -> dict[str, dict[str, Any]]:
    return children_of(AService(yaml.safe_load(EXAMPLES[name].read_text("utf-8"))))


def test_the_examples_are_there() -> None:
    assert {"minimal", "gpu", "external-redis", "autoscaled", "keda", "preload"} <= set(EXAMPLES)


@pytest.mark.parametrize("name", EXAMPLES)
def test_kubernetes_knows_every_field_of_the_children(name: str) -> None:
    children = [child for child in _children(name).values() if child["kind"] not in _FOREIGN]
    assert len(children) >= 6
    assert [mistake for child in children for mistake in mistakes(child)] == []


def test_a_mistake_in_a_child_would_be_seen() -> None:
    deployment = copy.deepcopy(_children("minimal")["Deployment/narrator"])
    deployment["spec"]["template"]["spec"]["containers"][0]["imagePullpolicy"] = "Always"
    deployment["spec"]["replicas"] = "2"
    deployment["spec"]["template"]["spec"]["volumes"][0] = {"emptyDir": {}}
    assert {mistake.partition(":")[0] for mistake in mistakes(deployment)} == {
        "Deployment.spec.template.spec.containers.0.imagePullpolicy",
        "Deployment.spec.template.spec.volumes.0.name",
        "Deployment.spec.replicas",
    }


def test_the_gpu_example_asks_for_a_gpu_and_mounts_its_model() -> None:
    pod = _children("gpu")["Deployment/studio"]["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    assert {"tmp", "redis", "checkpoint"} == {mount["name"] for mount in container["volumeMounts"]}
    assert {"tmp", "redis", "checkpoint"} == {volume["name"] for volume in pod["volumes"]}


def test_the_external_example_makes_no_redis() -> None:
    assert not [name for name in _children("external-redis") if "redis" in name]


def test_the_keda_example_makes_a_scaled_object_and_no_hpa() -> None:
    kinds = {name.partition("/")[0] for name in _children("keda")}
    assert "ScaledObject" in kinds
    assert "HorizontalPodAutoscaler" not in kinds


def test_the_preload_example_brings_its_voices_along() -> None:
    children = _children("preload")
    assert children["ConfigMap/museum-voices"]["data"]["manifest.jsonl"].count("\n") == 3
    volumes = children["Deployment/museum"]["spec"]["template"]["spec"]["volumes"]
    assert {"tmp", "redis", "voices", "recordings"} == {volume["name"] for volume in volumes}


def test_the_recordings_of_the_preload_example_fit_into_a_secret() -> None:
    text = EXAMPLES["preload"].read_text("utf-8")
    shipped = [
        EXAMPLES["preload"].parents[1] / word.rpartition("=")[2] for word in text.split() if "examples/voices/" in word
    ]
    assert len(shipped) == 2
    assert all(path.stat().st_size < 1 << 20 for path in shipped)
