"""Does a condition name what is wrong within 30 s, and is mending that enough?"""

from __future__ import annotations

import base64
import os
from collections.abc import Mapping
from typing import Any

import pytest

from e2e.installation import VoiceService
from e2e.kubectl import Kubectl
from e2e.pods import pod
from e2e.services import SMALL_REDIS, STUB

Images = Mapping[str, str]
ONE = {**STUB, "replicas": 1}
NAMED_WITHIN_SECONDS = 30
PASSWORD = "the password of somebody's Redis"
pytestmark = pytest.mark.usefixtures("timbre")


def degraded(service: VoiceService, *, says: str) -> str:
    """The reason, once the message holds the words."""
    found = service.until_condition("Degraded", "True", says=says, seconds=NAMED_WITHIN_SECONDS)
    return str(found["reason"])


def healed(service: VoiceService) -> None:
    service.ready()
    service.until_condition("Degraded", "False")


def test_image_that_does_not_exist_is_named(namespace: Kubectl) -> None:
    service = VoiceService(namespace, "narrator", ONE)
    wrong = service.apply(image="localhost/no-such-server:1")
    assert degraded(wrong, says="localhost/no-such-server:1") == "ImagePullFailed"
    healed(service.apply())


def test_resource_that_no_node_has_is_named(namespace: Kubectl) -> None:
    service = VoiceService(namespace, "narrator", ONE)
    gpu = service.apply(resources={"limits": {"nvidia.com/gpu": "1"}})
    assert degraded(gpu, says="nvidia.com/gpu") == "InsufficientGPU"
    memory = service.apply(resources={"requests": {"memory": "4Ti"}})
    assert degraded(memory, says="memory") == "InsufficientMemory"
    healed(service.apply())


def test_setting_that_the_engine_refuses_is_named(namespace: Kubectl) -> None:
    service = VoiceService(namespace, "narrator", ONE).apply(engine={"name": "stub", "options": {"no_such_option": 1}})
    assert degraded(service, says="no_such_option") == "SettingsRefused"
    healed(service.apply(engine={"name": "stub"}))


def somebodys_redis(images: Images) -> list[dict[str, Any]]:
    """One with a password, which no operator manages."""
    server = pod(
        "elsewhere", images["redis"], ["redis-server", "--requirepass", PASSWORD, "--dir", "/tmp", "--save", ""]
    )
    server["metadata"]["labels"] = {"app": "elsewhere"}
    ports = [{"port": 6379}]
    service = {
        "apiVersion": "v1",
        "kind": "Service",
        "metadata": {"name": "elsewhere"},
        "spec": {"selector": {"app": "elsewhere"}, "ports": ports},
    }
    return [server, service]


def secret(key: str, value: str) -> dict[str, Any]:
    data = {key: base64.b64encode(value.encode()).decode()}
    return {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": "redis-login"}, "data": data}


def external(namespace: Kubectl) -> dict[str, Any]:
    return {
        "external": {
            "address": f"elsewhere.{namespace.namespace}.svc:6379",
            "passwordSecretRef": {"name": "redis-login", "key": "password"},
        }
    }


def test_secret_that_is_wrong_is_named_until_it_is_right(namespace: Kubectl, images: Images) -> None:
    namespace.apply(*somebodys_redis(images))
    service = VoiceService(namespace, "narrator", ONE).apply(redis=external(namespace))

    missing = service.until_condition("RedisReady", "False", says="redis-login", seconds=NAMED_WITHIN_SECONDS)
    assert missing["reason"] == "SecretMissing"
    namespace.apply(secret("other", PASSWORD))
    no_key = service.until_condition("RedisReady", "False", says="password", seconds=NAMED_WITHIN_SECONDS)
    assert no_key["reason"] == "SecretMissing"
    namespace.apply(secret("password", "not it"))
    wrong = service.until_condition(
        "RedisReady", "False", says="refuses the user or the password", seconds=NAMED_WITHIN_SECONDS
    )
    assert PASSWORD not in str(service.manifest())
    assert wrong["reason"] == "AuthFailed"
    namespace.apply(secret("password", PASSWORD))
    healed(service)


def test_external_redis_that_is_down_is_named_until_it_is_there(namespace: Kubectl, images: Images) -> None:
    namespace.apply(secret("password", PASSWORD))
    service = VoiceService(namespace, "narrator", ONE).apply(redis=external(namespace))

    down = service.until_condition("RedisReady", "False", says="elsewhere", seconds=NAMED_WITHIN_SECONDS)
    assert down["reason"] == "Unreachable"

    namespace.apply(*somebodys_redis(images))
    healed(service)


@pytest.mark.skipif("KUBE_CONTEXT" in os.environ, reason="makes a storage class like ours")
def test_storage_class_that_is_not_there_is_named_until_it_is(namespace: Kubectl, kubectl: Kubectl) -> None:
    name = namespace.namespace
    redis = {"managed": {**SMALL_REDIS["managed"], "storage": {"className": name}}}
    service = VoiceService(namespace, "narrator", ONE).apply(redis=redis)
    assert degraded(service, says="storage class") == "RedisVolumePending"

    (standard,) = [each for each in kubectl.items("storageclasses") if each["metadata"]["name"] == "standard"]
    fields = ("apiVersion", "kind", "provisioner", "reclaimPolicy", "volumeBindingMode")
    kubectl.apply({**{field: standard[field] for field in fields}, "metadata": {"name": name}})
    try:
        healed(service)
    finally:
        kubectl("delete", "storageclass", name)
