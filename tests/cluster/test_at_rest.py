"""What is rendered is accepted by a real API server, and what it gives back leaves nothing to do."""

from __future__ import annotations

import json
from collections.abc import Iterator

import pytest
import yaml

from tests.cluster.api import Api, Object
from tests.cluster.carrying_out import carry_out, children, converge, find_children, in_namespace, plan_of
from tests.cluster.control_plane import ROOT, ControlPlane
from tests.operator.desired.field_changes import CHANGES, changed
from tests.operator.manifests import AService, a_service
from timbre_contract import labels
from timbre_operator.plan import Plan, Verb, plan

EXAMPLES = {file.stem: yaml.safe_load(file.read_text("utf-8")) for file in (ROOT / "examples").glob("*.yaml")}


def _said(steps: Plan) -> list[str]:
    return [f"{action.verb} {action.key.kind}/{action.key.name}: {action.reason}" for action in steps.actions]


def _names(objects: list[Object]) -> set[str]:
    return {f"{item['kind']}/{item['metadata']['name']}" for item in objects}


@pytest.mark.parametrize("example", EXAMPLES)
async def test_every_child_of_an_example_is_accepted_and_at_rest(example: str, api: Api, namespace: str) -> None:
    manifest = in_namespace(AService(EXAMPLES[example]), namespace)
    service = await api.create(manifest, fieldValidation="Strict")
    done = await converge(api, service)
    assert {action.verb for action in done.actions} == {Verb.CREATE}
    assert _said(await plan_of(api, service)) == []
    assert _names(await find_children(api, namespace)) == _names(children(service))


async def test_applying_what_is_there_writes_nothing(api: Api, namespace: str) -> None:
    """At rest the API server is sent nothing; whoever sends it all the same changes nothing either."""
    service = await api.create(in_namespace(AService(EXAMPLES["minimal"]), namespace))
    await converge(api, service)
    versions = {}
    for child in children(service):
        once = await api.apply(child, manager=labels.FIELD_MANAGER)
        again = await api.apply(child, manager=labels.FIELD_MANAGER)
        versions[f"{child['kind']}/{child['metadata']['name']}"] = (_generation(once), _generation(again))
    assert {name for name, (once, again) in versions.items() if once != again} == set()


def _generation(found: Object) -> tuple[int, object]:
    ours = [entry for entry in found["metadata"]["managedFields"] if entry["manager"] == labels.FIELD_MANAGER]
    return found["metadata"].get("generation", 0), ours


class OneService:
    """A VoiceService that many tests change in turn: whatever the last one left is where the next one begins."""

    def __init__(self, service: Object) -> None:
        self._service = service
        self._found: list[Object] = []

    async def becomes(self, api: Api, spec: Object) -> Plan:
        """Makes this spec true; returns what was done."""
        steps = self.left_to_do(spec)
        self._found = await carry_out(api, steps, self._found)
        return steps

    def left_to_do(self, spec: Object) -> Plan:
        """From what the API server answered to the last write of each object."""
        wanted = children({**self._service, "spec": spec})
        return plan(wanted, self._found, owner_uid=self._service["metadata"]["uid"])


@pytest.fixture(scope="module")
def one_service(control_plane: ControlPlane) -> Iterator[OneService]:
    """In a namespace of its own."""
    control_plane.kubectl("create", "namespace", "at-rest")
    manifest = in_namespace(a_service(), "at-rest")
    made = control_plane.kubectl("create", "--output=json", "--filename=-", stdin=json.dumps(manifest))
    yield OneService(json.loads(made))
    control_plane.kubectl("delete", "namespace", "at-rest", "--wait=false")


@pytest.mark.parametrize("path", CHANGES)
async def test_after_a_change_of_a_field_nothing_is_left_to_do(path: str, api: Api, one_service: OneService) -> None:
    """The change touches the children that it should touch, and no others."""
    service, value, touched = CHANGES[path]
    before, after = service.manifest["spec"], changed(service, path, value).manifest["spec"]
    await one_service.becomes(api, before)
    assert _said(one_service.left_to_do(before)) == []

    steps = await one_service.becomes(api, after)
    assert {f"{action.key.kind}/{action.key.name}" for action in steps.actions} == touched
    assert _said(one_service.left_to_do(after)) == []
