"""What ``ports.Cluster`` promises, for every implementation: the API server's and the one in memory.

A test module gives a fixture ``cluster`` and one ``namespace``, and imports these tests.
"""

from __future__ import annotations

from typing import Any

import pytest

from timbre_operator.errors import Conflict
from timbre_operator.ports import Cluster, EventNote, Kind

CONFIG_MAP = Kind("v1", "ConfigMap", "configmaps")
MARKS = {"app.kubernetes.io/name": "timbre"}


def a_config_map(namespace: str, name: str = "a", **data: str) -> dict[str, Any]:
    metadata = {"name": name, "namespace": namespace, "labels": MARKS}
    return {"apiVersion": "v1", "kind": "ConfigMap", "metadata": metadata, "data": data}


def _without_labels(manifest: dict[str, Any]) -> dict[str, Any]:
    return manifest | {"metadata": {key: value for key, value in manifest["metadata"].items() if key != "labels"}}


async def test_what_is_applied_is_there_and_is_returned_with_its_kind(cluster: Cluster, namespace: str) -> None:
    stored = await cluster.apply(a_config_map(namespace, x="1"), manager="me")
    assert (stored["apiVersion"], stored["kind"], stored["data"]) == ("v1", "ConfigMap", {"x": "1"})
    assert stored["metadata"]["uid"]
    assert await cluster.fetch(CONFIG_MAP, namespace, "a") == stored


async def test_a_field_that_is_applied_no_more_is_removed_and_others_fields_stay(
    cluster: Cluster, namespace: str
) -> None:
    await cluster.apply(a_config_map(namespace, x="1", y="1"), manager="me")
    await cluster.apply(a_config_map(namespace, z="1"), manager="another")
    stored = await cluster.apply(a_config_map(namespace, y="2"), manager="me")
    assert stored["data"] == {"y": "2", "z": "1"}


async def test_what_somebody_else_applied_is_taken_over(cluster: Cluster, namespace: str) -> None:
    await cluster.apply(a_config_map(namespace, x="theirs"), manager="another")
    stored = await cluster.apply(a_config_map(namespace, x="ours"), manager="me")
    assert stored["data"] == {"x": "ours"}


async def test_applying_the_same_again_makes_no_new_version(cluster: Cluster, namespace: str) -> None:
    once = await cluster.apply(a_config_map(namespace, x="1"), manager="me")
    again = await cluster.apply(a_config_map(namespace, x="1"), manager="me")
    assert again["metadata"]["resourceVersion"] == once["metadata"]["resourceVersion"]


async def test_a_newer_version_has_a_larger_number(cluster: Cluster, namespace: str) -> None:
    versions = [
        int((await cluster.apply(a_config_map(namespace, x=str(number)), manager="me"))["metadata"]["resourceVersion"])
        for number in range(12)
    ]
    assert versions == sorted(set(versions))


async def test_an_apply_with_a_uid_makes_nothing_that_is_not_there(cluster: Cluster, namespace: str) -> None:
    manifest = a_config_map(namespace)
    manifest["metadata"]["uid"] = "0a1b2c3d-0000-0000-0000-000000000000"
    with pytest.raises(Conflict):
        await cluster.apply(manifest, manager="me")
    assert await cluster.fetch(CONFIG_MAP, namespace, "a") is None


async def test_an_apply_of_something_new_takes_nothing_over(cluster: Cluster, namespace: str) -> None:
    made = await cluster.apply(a_config_map(namespace, x="1"), manager="me", new=True)
    assert made["data"] == {"x": "1"}
    with pytest.raises(Conflict):
        await cluster.apply(a_config_map(namespace, x="2"), manager="me", new=True)
    assert await cluster.fetch(CONFIG_MAP, namespace, "a") == made


async def test_a_field_of_something_new_is_removed_as_any_other(cluster: Cluster, namespace: str) -> None:
    await cluster.apply(a_config_map(namespace, x="1", y="1"), manager="me", new=True)
    stored = await cluster.apply(a_config_map(namespace, x="1"), manager="me")
    assert stored["data"] == {"x": "1"}


async def test_what_is_there_is_not_created_again(cluster: Cluster, namespace: str) -> None:
    made = await cluster.create(a_config_map(namespace, x="1"))
    with pytest.raises(Conflict):
        await cluster.create(a_config_map(namespace, x="2"))
    assert await cluster.fetch(CONFIG_MAP, namespace, "a") == made


async def test_what_is_not_there_is_none(cluster: Cluster, namespace: str) -> None:
    assert await cluster.fetch(CONFIG_MAP, namespace, "nowhere") is None


async def test_exactly_the_object_that_was_meant_is_deleted(cluster: Cluster, namespace: str) -> None:
    old = await cluster.create(a_config_map(namespace))
    await cluster.delete(old)
    assert await cluster.fetch(CONFIG_MAP, namespace, "a") is None
    await cluster.delete(old)  # it is gone, and that is no error
    new = await cluster.create(a_config_map(namespace))
    await cluster.delete(old)
    assert await cluster.fetch(CONFIG_MAP, namespace, "a") == new


async def test_objects_are_found_by_namespace_labels_and_fields(cluster: Cluster, namespace: str) -> None:
    marked = await cluster.create(a_config_map(namespace, "a"))
    other = await cluster.create(_without_labels(a_config_map(namespace, "b")))

    async def names(**wanted: Any) -> set[str]:
        found = await cluster.find(CONFIG_MAP, namespace=namespace, **wanted)
        return {item["metadata"]["name"] for item in found} & {"a", "b"}

    assert await names() == {"a", "b"}
    assert await names(labels=MARKS) == {"a"}
    assert await names(fields={"metadata.name": "b"}) == {"b"}
    everywhere = await cluster.find(CONFIG_MAP, labels=MARKS)
    assert marked["metadata"]["uid"] in {item["metadata"]["uid"] for item in everywhere}
    assert other["metadata"]["uid"] not in {item["metadata"]["uid"] for item in everywhere}
    assert {item["kind"] for item in everywhere} == {"ConfigMap"}


async def test_a_list_knows_its_moment(cluster: Cluster, namespace: str) -> None:
    before = await cluster.snapshot(CONFIG_MAP, namespace=namespace, labels=MARKS)
    made = await cluster.create(a_config_map(namespace))
    after = await cluster.snapshot(CONFIG_MAP, namespace=namespace, labels=MARKS)
    assert before.items == ()
    assert [item["metadata"]["uid"] for item in after.items] == [made["metadata"]["uid"]]
    assert int(before.resource_version) < int(made["metadata"]["resourceVersion"]) <= int(after.resource_version)


async def test_annotations_are_merged_and_removed(cluster: Cluster, namespace: str) -> None:
    await cluster.create(a_config_map(namespace))
    await cluster.annotate(CONFIG_MAP, namespace, "a", {"x": "1", "y": "1"})
    await cluster.annotate(CONFIG_MAP, namespace, "a", {"x": None, "z": "1"})
    found = await cluster.fetch(CONFIG_MAP, namespace, "a")
    assert found is not None
    assert found["metadata"]["annotations"] == {"y": "1", "z": "1"}
    await cluster.annotate(CONFIG_MAP, namespace, "nowhere", {"x": "1"})  # it is gone, and that is no error


async def test_optional_kinds_and_metrics_are_told(cluster: Cluster) -> None:
    assert (await cluster.optional_kinds()).silent == {}
    assert isinstance(await cluster.custom_metrics(), frozenset | None)


async def test_whether_we_may_is_told(cluster: Cluster, namespace: str) -> None:
    assert await cluster.may("watch", CONFIG_MAP, namespace)
    assert await cluster.may("watch", CONFIG_MAP)


async def test_an_event_can_be_posted_again_and_again(cluster: Cluster, namespace: str) -> None:
    about = await cluster.create(a_config_map(namespace))
    for _ in range(3):
        await cluster.announce(about, EventNote("Warning", "Tested", "for the third time"))


__all__ = [name for name in dir() if name.startswith("test_")]
