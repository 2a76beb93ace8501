"""What every cluster promises, on a real API server; and what only a real one does."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest
from kubernetes.aio.client import Configuration
from kubernetes.aio.config import load_kube_config

from tests.cluster.api import Api
from tests.cluster.control_plane import ControlPlane
from tests.operator.cluster.conformance import *  # noqa: F403 - the whole suite
from tests.operator.cluster.conformance import a_config_map
from timbre_operator.cluster.api_cluster import ApiCluster
from timbre_operator.cluster.connection import Connection
from timbre_operator.errors import Forbidden, Invalid, NotFound, Unavailable
from timbre_operator.kinds import DEPLOYMENT
from timbre_operator.observed import OptionalKind
from timbre_operator.ports import Discovered, EventNote


async def _connection(control_plane: ControlPlane, user: str = "") -> Connection:
    file = control_plane.kubeconfig(user) if user else control_plane.admin
    configuration = Configuration()
    await load_kube_config(str(file), client_configuration=configuration)
    return Connection(configuration)


@pytest.fixture
async def cluster(control_plane: ControlPlane) -> AsyncIterator[ApiCluster]:
    async with await _connection(control_plane) as connection:
        yield ApiCluster(connection, identity="test")


async def test_every_optional_kind_that_is_installed_is_seen(cluster: ApiCluster) -> None:
    assert await cluster.optional_kinds() == Discovered(frozenset(OptionalKind))


async def test_the_same_event_is_counted(cluster: ApiCluster, api: Api, namespace: str) -> None:
    about = await cluster.create(a_config_map(namespace))
    for _ in range(3):
        await cluster.announce(about, EventNote("Warning", "Tested", "ä" * 1000))
    (event,) = await api.find("v1/Event", namespace, fieldSelector="reason=Tested")
    assert event["count"] == 3
    assert event["involvedObject"]["uid"] == about["metadata"]["uid"]


async def test_an_event_that_was_forgotten_is_posted_anew(cluster: ApiCluster, api: Api, namespace: str) -> None:
    about = await cluster.create(a_config_map(namespace))
    await cluster.announce(about, EventNote("Normal", "Tested", "once"))
    (event,) = await api.find("v1/Event", namespace, fieldSelector="reason=Tested")
    await api.delete(event)
    await cluster.announce(about, EventNote("Normal", "Tested", "once"))
    (event,) = await api.find("v1/Event", namespace, fieldSelector="reason=Tested")
    assert event["count"] == 1


async def test_whoever_has_no_right_is_told_which(control_plane: ControlPlane, namespace: str) -> None:
    async with await _connection(control_plane, "nobody-special") as connection:
        with pytest.raises(Forbidden, match='cannot patch resource "configmaps"'):
            await ApiCluster(connection, identity="test").apply(a_config_map(namespace), manager="me")


async def test_a_right_that_is_missing_is_known_before_it_is_needed(
    control_plane: ControlPlane, namespace: str
) -> None:
    async with await _connection(control_plane, "nobody-special") as connection:
        assert not await ApiCluster(connection, identity="test").may("watch", DEPLOYMENT, namespace)


async def test_an_object_that_cannot_be_says_which_field(cluster: ApiCluster, namespace: str) -> None:
    metadata = {"name": "a", "namespace": namespace}
    deployment = {"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": {"replicas": -1}}
    with pytest.raises(Invalid, match=r"spec\.replicas"):
        await cluster.apply(deployment, manager="me")


async def test_a_namespace_that_is_not_there_is_not_found(cluster: ApiCluster) -> None:
    with pytest.raises(NotFound):
        await cluster.apply(a_config_map("nowhere"), manager="me")


async def test_a_quota_is_named(cluster: ApiCluster, api: Api, namespace: str) -> None:
    quota = {"apiVersion": "v1", "kind": "ResourceQuota", "metadata": {"name": "none", "namespace": namespace}}
    made = await api.create({**quota, "spec": {"hard": {"configmaps": "1"}}})
    await api.until("v1/ResourceQuota", namespace, "none", lambda found: (found.get("status") or {}).get("used"))
    with pytest.raises(Forbidden, match="exceeded quota: none"):
        await cluster.apply(a_config_map(namespace), manager="me")
    await api.delete(made)


async def test_dependents_of_what_is_deleted_as_an_orphan_stay(cluster: ApiCluster, api: Api, namespace: str) -> None:
    labels = {"app": "x"}
    template = {"metadata": {"labels": labels}, "spec": {"containers": [{"name": "x", "image": "x"}]}}
    spec = {"replicas": 0, "selector": {"matchLabels": labels}, "template": template}
    metadata = {"name": "a", "namespace": namespace}
    made = await cluster.create({"apiVersion": "apps/v1", "kind": "Deployment", "metadata": metadata, "spec": spec})

    async def of_ours() -> str:
        async for event in api.watch("apps/v1/ReplicaSet", namespace):
            if event.object:
                return str(event.object["metadata"]["name"])
        raise AssertionError

    name = await of_ours()
    await cluster.delete(made, orphan=True)
    await api.until("apps/v1/Deployment", namespace, "a", None, gone=True)
    assert await cluster.fetch(DEPLOYMENT, namespace, "a") is None
    replica_set = await api.fetch("apps/v1/ReplicaSet", namespace, name)
    assert not replica_set["metadata"].get("ownerReferences")


async def test_a_server_that_is_away_is_unavailable(control_plane: ControlPlane) -> None:
    configuration = Configuration()
    await load_kube_config(str(control_plane.admin), client_configuration=configuration)
    configuration.host = "https://127.0.0.1:1"
    async with Connection(configuration) as connection:
        with pytest.raises(Unavailable, match="did not answer"):
            await ApiCluster(connection, identity="test").custom_metrics()
