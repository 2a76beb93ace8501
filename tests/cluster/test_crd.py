"""What users meet of the CRD on a real API server: it is established, explained, listed, and writes its defaults."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.cluster.api import Api, ApiError
from tests.cluster.carrying_out import VOICE_SERVICE, in_namespace
from tests.cluster.control_plane import ROOT, ControlPlane
from tests.operator.desired.field_changes import CHANGES, changed
from tests.operator.manifests import a_service
from tests.operator.refusals import TRANSITIONS
from timbre_operator.voiceservice import build_crd, from_manifest

EXAMPLES = sorted((ROOT / "examples").glob("*.yaml"))


async def test_the_crd_is_established_without_complaint(api: Api) -> None:
    crd = await api.fetch("apiextensions.k8s.io/v1/CustomResourceDefinition", "", "voiceservices.timbre.dev")
    conditions = {condition["type"]: condition["status"] for condition in crd["status"]["conditions"]}
    assert conditions["Established"] == conditions["NamesAccepted"] == "True"
    assert "NonStructuralSchema" not in conditions


def test_explain_tells_what_the_fields_of_autoscaling_mean(control_plane: ControlPlane) -> None:
    said = control_plane.kubectl("explain", "voiceservice.spec.autoscaling")
    assert "Who sets the number of pods." in said
    for field in ("class", "minReplicas", "maxReplicas", "targets", "behavior"):
        assert f"  {field}\t" in said
    assert said.count("<no description>") == 0
    assert "enum: HPA, KEDA, External, None" in said


def test_get_vs_shows_the_columns(control_plane: ControlPlane, service_with_a_status: str) -> None:
    table = control_plane.kubectl("get", "vs", "--namespace", service_with_a_status).splitlines()
    assert table[0].split() == ["NAME", "READY", "REPLICAS", "DESIRED", "QUEUE", "HITRATE", "AGE"]
    assert table[1].split()[:6] == ["narrator", "False", "1", "2", "7", "81"]
    wide = control_plane.kubectl("get", "voice", "--namespace", service_with_a_status, "--output=wide").splitlines()
    assert wide[0].split()[-4:] == ["REASON", "ENGINE", "SCALING", "ENDPOINT"]
    assert wide[1].split()[-4:] == ["PodUnschedulable", "embedded", "HPA", "http://narrator:8000"]


@pytest.fixture
async def service_with_a_status(api: Api, namespace: str) -> str:
    """Its namespace."""
    service = await api.create(in_namespace(a_service(), namespace))
    condition = {
        "type": "Ready", "status": "False", "reason": "PodUnschedulable", "message": "no node fits",
        "lastTransitionTime": "2026-01-01T00:00:00Z", "observedGeneration": 1,
    }  # fmt: skip
    status = {
        "conditions": [condition], "replicas": 2, "readyReplicas": 1, "desiredReplicas": 2, "queueDepth": 7,
        "hitRatePercent": 81, "selector": "a=b", "endpoint": "http://narrator:8000",
    }  # fmt: skip
    await api.patch(service, {"status": status}, "status")
    return namespace


async def test_scale_is_a_subresource_that_selects_the_pods(api: Api, service_with_a_status: str) -> None:
    scale = await api.fetch(VOICE_SERVICE, service_with_a_status, "narrator/scale")
    assert scale["kind"] == "Scale"
    assert (scale["spec"]["replicas"], scale["status"]) == (1, {"replicas": 2, "selector": "a=b"})


async def test_users_cannot_write_the_status_beside_the_spec(api: Api, namespace: str) -> None:
    service = await api.create({**in_namespace(a_service(), namespace), "status": {"replicas": 9}})
    assert "status" not in service


@pytest.mark.parametrize("file", EXAMPLES, ids=lambda path: path.stem)
async def test_an_example_is_accepted_as_it_stands(file: Path, control_plane: ControlPlane) -> None:
    said = control_plane.kubectl("apply", "--dry-run=server", "--validate=strict", f"--filename={file}")
    assert "voiceservice.timbre.dev/" in said
    assert "Warning" not in said


async def test_the_api_server_writes_the_defaults_of_the_typed_resource(api: Api) -> None:
    """All of them, and nothing else."""
    manifest = in_namespace(a_service(), "default")
    stored = await api.create(manifest, dryRun="All")
    assert stored["spec"] == from_manifest(manifest).spec.model_dump(by_alias=True, mode="json", exclude_none=True)


@pytest.mark.parametrize("path", CHANGES)
async def test_a_spec_comes_back_as_the_typed_resource_reads_it(path: str, api: Api) -> None:
    """For each field of the spec."""
    service, value, _ = CHANGES[path]
    manifest = in_namespace(changed(service, path, value), "default")
    stored = await api.create(manifest, dryRun="All", fieldValidation="Strict")
    assert from_manifest(stored).spec == from_manifest(manifest).spec


async def test_one_kind_of_redis_after_the_other_applies_cleanly(control_plane: ControlPlane, namespace: str) -> None:
    """As a user does it, with kubectl apply: minimal, external, minimal."""
    minimal = yaml.safe_load((ROOT / "examples" / "minimal.yaml").read_text("utf-8"))
    external = {**minimal, "spec": {"redis": {"external": {"address": "redis.shared:6379"}}}}
    for manifest in (minimal, external, minimal):
        said = control_plane.kubectl(
            "apply", "--namespace", namespace, "--validate=strict", "--filename=-", stdin=yaml.safe_dump(manifest)
        )
        assert said.split()[-1] in {"created", "configured"}
    left = control_plane.kubectl("get", "vs/narrator", "--namespace", namespace, "--output=jsonpath={.spec.redis}")
    assert left == ""


@pytest.mark.parametrize("change", TRANSITIONS)
async def test_a_volume_changes_only_as_volumes_can(change: str, api: Api, namespace: str) -> None:
    transition = TRANSITIONS[change]
    service = await api.create(_with_redis(namespace, transition.before))
    after = _with_redis(namespace, transition.after)
    after["metadata"]["resourceVersion"] = service["metadata"]["resourceVersion"]
    path = f"/apis/timbre.dev/v1alpha1/namespaces/{namespace}/voiceservices/narrator"
    if not transition.said:
        await api.request("PUT", path, after)
        return
    with pytest.raises(ApiError, match=transition.said) as refused:
        await api.request("PUT", path, after)
    assert (refused.value.status, refused.value.reason) == (422, "Invalid")


def _with_redis(namespace: str, redis: dict[str, Any] | None) -> dict[str, Any]:
    return in_namespace(a_service() if redis is None else a_service().with_spec(redis=redis), namespace)


async def test_an_applied_crd_is_the_crd_of_the_code(api: Api) -> None:
    """The API server keeps every description, bound and rule."""
    crd = await api.fetch("apiextensions.k8s.io/v1/CustomResourceDefinition", "", "voiceservices.timbre.dev")
    ours = build_crd()["spec"]["versions"][0]
    assert crd["spec"]["versions"][0]["schema"] == ours["schema"]
    assert crd["spec"]["versions"][0]["subresources"] == ours["subresources"]
