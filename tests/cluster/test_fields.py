"""Each field of the spec, changed by a user under a running operator, changes the children that it should and no others."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from typing import Any

from tests.cluster.api import Api, Object, path_of
from tests.cluster.carrying_out import VOICE_SERVICE, find_children, in_namespace
from tests.cluster.fake_node import FakeNode
from tests.cluster.operator_process import OperatorProcess
from tests.operator.desired.field_changes import CHANGES, changed
from tests.operator.manifests import a_service

_SET = "StatefulSet"
_KEYS = ("k", "l", "password", "ca.crt", "tls.crt", "tls.key")


async def _applied(api: Api, service: Object, spec: Object) -> dict[str, Object]:
    """What users and the operator wrote, by kind and name, once the operator has dealt with this spec."""
    patch = [{"op": "replace", "path": "/spec", "value": spec}]
    written = await api.request("PATCH", path_of(service), patch, content_type="application/json-patch+json")
    generation = written["metadata"]["generation"]
    await api.until(
        VOICE_SERVICE,
        service["metadata"]["namespace"],
        "narrator",
        lambda found: found.get("status", {}).get("observedGeneration") == generation,
    )
    return await _found(api, service["metadata"]["namespace"])


async def _found(api: Api, namespace: str) -> dict[str, Object]:
    children = await find_children(api, namespace)
    return {f"{item['kind']}/{item['metadata']['name']}": _content(item) for item in children}


def _differing(before: dict[str, Object], after: dict[str, Object]) -> set[str]:
    return {name for name in before | after if before.get(name) != after.get(name)}


def _content(child: Object) -> Object:
    """Without what the API server and controllers write."""
    ours = {name: value for name, value in child.items() if name not in ("metadata", "status")}
    return {**ours, "labels": child["metadata"]["labels"], "owner": child["metadata"]["ownerReferences"]}


def _by_service() -> Iterator[tuple[Object, list[str]]]:
    """Each spec that the table begins with, and the fields that are changed in it; what grows a volume comes last."""

    def spec(path: str) -> str:
        return json.dumps(CHANGES[path][0].manifest["spec"], sort_keys=True)

    allowed = [path for path in CHANGES if path not in _REFUSED]
    for _, paths in groupby(sorted(sorted(allowed, key=_is_of_the_volume), key=spec), spec):
        fields = list(paths)
        yield CHANGES[fields[0]][0].manifest["spec"], fields


_REFUSED = {"redis.managed.storage.className"}
"""A field that never changes; ``test_crd.py`` holds it."""


def _is_of_the_volume(path: str) -> bool:
    return path.startswith("redis.managed.")


async def test_every_field_changes_what_it_should_and_nothing_else(
    api: Api, namespace: str, fake_node: FakeNode, operator_process: OperatorProcess
) -> None:
    fake_node.light = True
    for name in ("s", "t"):  # those that the table's external Redis refers to
        secret = {"apiVersion": "v1", "kind": "Secret", "metadata": {"name": name, "namespace": namespace}}
        await api.create({**secret, "stringData": dict.fromkeys(_KEYS, name)})
    service = await api.create(in_namespace(a_service(), namespace))
    wrong: dict[str, Any] = {}
    for spec, paths in _by_service():
        before = await _applied(api, service, spec)
        for path in paths:
            given, value, touched = CHANGES[path]
            if _is_of_the_volume(path):  # whose size never goes back
                before = await _applied(api, service, spec)
            after = await _applied(api, service, changed(given, path, value).manifest["spec"])
            differing = _differing(before, after)
            if _is_of_the_volume(path) and differing < touched:
                # A volume grows first; what makes it is written anew in a later turn.
                was = before[f"{_SET}/narrator-redis"]["spec"]
                await api.until(
                    f"apps/v1/{_SET}", namespace, "narrator-redis", lambda found, was=was: found["spec"] != was
                )
                differing = _differing(before, await _found(api, namespace))
            if differing != touched:
                wrong[path] = {"changed": differing, "should": touched}
    assert wrong == {}
