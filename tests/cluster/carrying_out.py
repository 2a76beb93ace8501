"""A plan carried out on a real API server, step by step as the plan's verbs say, and what is there afterwards."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from itertools import chain
from typing import Any

from tests.cluster.api import Api, Object
from tests.operator.desired.children import inputs_of
from tests.operator.manifests import AService, merged
from timbre_contract import labels
from timbre_operator.desired import build_children
from timbre_operator.kinds import CHILDREN, Watched
from timbre_operator.plan import Action, Key, Plan, Verb, key_of, plan

VOICE_SERVICE = f"{labels.API_VERSION}/{labels.KIND}"


def in_namespace(service: AService, namespace: str) -> Object:
    """The manifest as a user would apply it there."""
    manifest = merged(service.manifest, {"metadata": {"namespace": namespace}})
    for name in ("uid", "generation"):
        manifest["metadata"].pop(name, None)
    return manifest


def children(service: Object, **changes: Any) -> list[Object]:
    """What the operator wants for a VoiceService as the API server gives it back."""
    return build_children(inputs_of(AService(service), **changes))


async def find_children(api: Api, namespace: str) -> list[Object]:
    """All that has our labels there."""

    async def find(watched: Watched) -> list[Object]:
        selector = ",".join(f"{name}={value}" for name, value in watched.selector.items())
        return await api.find(f"{watched.kind.api_version}/{watched.kind.kind}", namespace, labelSelector=selector)

    return list(chain.from_iterable(await asyncio.gather(*map(find, CHILDREN))))


async def plan_of(api: Api, service: Object, **changes: Any) -> Plan:
    """What is left to do for it."""
    found = await find_children(api, service["metadata"]["namespace"])
    return plan(children(service, **changes), found, owner_uid=service["metadata"]["uid"])


async def converge(api: Api, service: Object, **changes: Any) -> Plan:
    """Makes a VoiceService true, without its pods; returns what was done."""
    found = await find_children(api, service["metadata"]["namespace"])
    steps = plan(children(service, **changes), found, owner_uid=service["metadata"]["uid"])
    await carry_out(api, steps, found)
    return steps


async def carry_out(api: Api, steps: Plan, found: Iterable[Object]) -> list[Object]:
    """Does what the plan says; returns what is there afterwards, as the API server answered."""
    there = {key_of(item): item for item in found}
    for action in steps.actions:
        await _carry_out(api, action, there)
    return list(there.values())


async def _carry_out(api: Api, action: Action, there: dict[Key, Object]) -> None:
    if action.verb is Verb.REFUSE:
        raise AssertionError(action.reason)
    if action.verb in (Verb.PRUNE, Verb.RECREATE):
        old = there.pop(action.key)
        orphans = {"propagationPolicy": "Orphan"} if action.verb is Verb.RECREATE else {}
        await api.delete(old, **orphans)
        if action.verb is Verb.RECREATE:
            await _until_gone(api, old)
    if action.manifest is not None:
        manager = labels.HANDOVER_MANAGER if action.verb is Verb.HAND_OVER else labels.FIELD_MANAGER
        there[action.key] = await api.apply(action.manifest, manager=manager)


async def _until_gone(api: Api, found: Object) -> None:
    """Orphaning takes the garbage collector a moment."""
    metadata = found["metadata"]
    kind = f"{found['apiVersion']}/{found['kind']}"
    await api.until(kind, metadata["namespace"], metadata["name"], lambda _: False, gone=True)
