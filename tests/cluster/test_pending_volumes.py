"""A claim that gets no volume, in the words of the real controller, and the way out that is told is open."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.cluster.api import Api, Object
from tests.cluster.carrying_out import VOICE_SERVICE
from tests.cluster.fake_node import FakeNode
from tests.cluster.fake_volumes import OTHER_CLASS, STORAGE_CLASS
from tests.cluster.operator_process import OperatorProcess
from tests.cluster.watching import condition, is_ready, says, until_service, write
from tests.operator.manifests import AService, a_service

CLAIM = "data-narrator-redis-0"
MANUAL = a_service().scaled_by("None")


@pytest.fixture(autouse=True)
def light_pods(fake_node: FakeNode) -> None:
    """Servers' pods answer probes only."""
    fake_node.light = True


def _of_class(name: str) -> AService:
    return MANUAL.with_spec(redis={"managed": {"storage": {"className": name}}})


async def test_a_storage_class_that_is_not_there_is_named_and_another_one_is_taken_as_the_message_says(
    api: Api, namespace: str, operator_process: OperatorProcess
) -> None:
    await write(api, namespace, _of_class("nowhere"))
    service = await until_service(api, namespace, says("RedisReady", "VolumePending"))
    message = condition(service, "RedisReady")["message"]
    assert message.startswith(
        f"PersistentVolumeClaim {CLAIM} gets no volume: there is no storage class nowhere; create it"
    )
    assert "or delete VoiceService narrator and this claim, and make it anew with another" in message

    await api.delete(service)
    await api.until(VOICE_SERVICE, namespace, "narrator", lambda _: True, gone=True)
    await api.delete(await api.fetch("v1/PersistentVolumeClaim", namespace, CLAIM))
    await api.until("v1/PersistentVolumeClaim", namespace, CLAIM, lambda _: True, gone=True)
    await write(api, namespace, _of_class(OTHER_CLASS))
    await until_service(api, namespace, is_ready)


@pytest.fixture
async def default_class(api: Api) -> AsyncIterator[Object]:
    """The default class, while it is not the default one; the next test finds it as it was."""
    found = await api.fetch("storage.k8s.io/v1/StorageClass", "", STORAGE_CLASS)
    found |= {"apiVersion": "storage.k8s.io/v1", "kind": "StorageClass"}
    await _be_default(api, found, "false")
    yield found
    await _be_default(api, found, "true")


async def _be_default(api: Api, storage_class: Object, answer: str) -> None:
    annotations = {"storageclass.kubernetes.io/is-default-class": answer}
    await api.patch(storage_class, {"metadata": {"annotations": annotations}})


async def test_a_cluster_without_a_default_class_is_told_what_it_lacks_until_it_has_one(
    api: Api, namespace: str, default_class: Object, operator_process: OperatorProcess
) -> None:
    """By an event that Kubernetes calls Normal."""
    await write(api, namespace, MANUAL)
    service = await until_service(api, namespace, says("RedisReady", "VolumePending"))
    message = condition(service, "RedisReady")["message"]
    assert (
        "gets no volume: it names no storage class, and the cluster has no default one; make one the default" in message
    )
    assert "no storage class is set" in message

    await _be_default(api, default_class, "true")
    await until_service(api, namespace, is_ready)
