"""The managed Redis, to the letter."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from tests.operator.desired.children import PASSWORDS, children_of, container_of
from tests.operator.manifests import AService, a_service
from timbre_contract import labels
from timbre_operator.desired import RedisPasswords


def _set(service: AService, **changes: Any) -> dict[str, Any]:
    spec: dict[str, Any] = children_of(service, **changes)["StatefulSet/narrator-redis"]["spec"]
    return spec


def _storage(spec: dict[str, Any]) -> dict[str, Any]:
    (claim,) = spec["volumeClaimTemplates"]
    found: dict[str, Any] = claim["spec"]
    return found


def test_passwords_are_made_once() -> None:
    secret = children_of(a_service())["Secret/narrator-redis"]
    assert secret["metadata"]["annotations"][labels.CREATE_ONCE_ANNOTATION] == "true"
    assert {name: base64.b64decode(value).decode() for name, value in secret["data"].items()} == {
        "password": PASSWORDS.pods,
        "operator-password": PASSWORDS.operator,
    }


def test_no_other_child_is_made_once() -> None:
    marked = [
        name
        for name, child in children_of(a_service()).items()
        if labels.CREATE_ONCE_ANNOTATION in child["metadata"]["annotations"]
    ]
    assert marked == ["Secret/narrator-redis"]


def test_there_is_one_pod_on_one_volume() -> None:
    spec = _set(a_service())
    assert (spec["replicas"], spec["serviceName"]) == (1, "narrator-redis")
    assert _storage(spec) == {
        "accessModes": ["ReadWriteOnce"],
        "resources": {"requests": {"storage": "4096Mi"}},
    }


def test_the_container_has_a_third_more_memory_than_redis_counts() -> None:
    container = container_of(_set(a_service().with_spec(redis={"managed": {"maxMemory": "3Gi"}}))["template"], "redis")
    assert container["resources"] == {
        "requests": {"cpu": "100m", "memory": "4096Mi"},
        "limits": {"memory": "4096Mi"},
    }


def test_voices_outlive_the_service_unless_told_otherwise() -> None:
    assert _set(a_service())["persistentVolumeClaimRetentionPolicy"] == {
        "whenDeleted": "Retain",
        "whenScaled": "Retain",
    }
    removed = a_service().with_spec(redis={"managed": {"storage": {"onDelete": "Delete"}}})
    assert _set(removed)["persistentVolumeClaimRetentionPolicy"] == {"whenDeleted": "Delete", "whenScaled": "Retain"}


def test_a_storage_class_is_passed_on() -> None:
    service = a_service().with_spec(redis={"managed": {"storage": {"className": "fast"}}})
    assert _storage(_set(service))["storageClassName"] == "fast"


@pytest.mark.parametrize(
    ("there", "size"), [(0, "8Gi"), (8 << 30, "8Gi"), ((8 << 30) + 1, "8193Mi"), (16 << 30, "16384Mi")]
)
def test_a_volume_is_never_asked_to_shrink(there: int, size: str) -> None:
    service = a_service().with_spec(redis={"managed": {"maxMemory": "1Gi", "storage": {"size": "8Gi"}}})
    assert _storage(_set(service, volume_bytes=there))["resources"]["requests"]["storage"] == size


def test_another_configuration_or_password_rolls_the_pod() -> None:
    def checksum(service: AService, **changes: Any) -> str:
        text: str = _set(service, **changes)["template"]["metadata"]["annotations"][labels.CONFIG_CHECKSUM_ANNOTATION]
        return text

    larger = a_service().with_spec(redis={"managed": {"maxMemory": "1025Mi"}})
    other = RedisPasswords(pods="x", operator="y")
    assert len({checksum(a_service()), checksum(larger), checksum(a_service(), redis_passwords=other)}) == 3


def test_the_pod_is_restricted_and_writes_its_volume_only() -> None:
    template = _set(a_service())["template"]
    container = container_of(template, "redis")
    assert template["spec"]["securityContext"]["runAsNonRoot"] is True
    assert template["spec"]["automountServiceAccountToken"] is False
    assert container["securityContext"]["readOnlyRootFilesystem"] is True
    assert [mount["mountPath"] for mount in container["volumeMounts"] if not mount.get("readOnly")] == ["/data"]


def test_the_files_lie_where_the_command_looks_for_them() -> None:
    children = children_of(a_service())
    template = children["StatefulSet/narrator-redis"]["spec"]["template"]
    container = container_of(template, "redis")
    mounts = {mount["name"]: mount["mountPath"] for mount in container["volumeMounts"]}
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    assert container["command"] == ["redis-server", f"{mounts['config']}/redis.conf"]
    assert volumes["config"]["configMap"]["name"] == children["ConfigMap/narrator-redis"]["metadata"]["name"]
    assert volumes["acl"]["secret"]["secretName"] == children["Secret/narrator-redis-acl"]["metadata"]["name"]
    conf = children["ConfigMap/narrator-redis"]["data"]["redis.conf"]
    assert f"aclfile {mounts['acl']}/users.acl\n" in conf
    assert f"dir {mounts['data']}\n" in conf


def test_an_exporter_that_is_not_ready_keeps_nobody_from_redis() -> None:
    assert children_of(a_service())["Service/narrator-redis"]["spec"]["publishNotReadyAddresses"] is True


def test_a_pod_that_cannot_start_is_replaced_by_a_corrected_one() -> None:
    assert _set(a_service())["podManagementPolicy"] == "Parallel"


def test_each_container_reads_its_own_file_of_the_secret() -> None:
    children = children_of(a_service())
    template = children["StatefulSet/narrator-redis"]["spec"]["template"]
    volumes = {volume["name"]: volume for volume in template["spec"]["volumes"]}
    keys = {name: [item["key"] for item in volumes[name]["secret"]["items"]] for name in ("acl", "exporter")}
    assert keys == {"acl": ["users.acl"], "exporter": ["exporter.json"]}
    assert set(children["Secret/narrator-redis-acl"]["data"]) == {"users.acl", "exporter.json"}
    mounts = {name: [m["name"] for m in container_of(template, name)["volumeMounts"]] for name in ("redis", "exporter")}
    assert mounts == {"redis": ["data", "config", "acl"], "exporter": ["exporter"]}
