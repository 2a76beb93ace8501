"""What is there about one VoiceService, from the watches and from the few reads that they do not save?"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from timbre_contract import labels
from timbre_operator.errors import ClusterError
from timbre_operator.kinds import kind_of
from timbre_operator.observed import Failure, Manifest, Observed, RedisFacts
from timbre_operator.plan import Key, key_of
from timbre_operator.ports import ServiceKey
from timbre_operator.reconciler.memory import Memory
from timbre_operator.reconciler.prerequisites import Prerequisites
from timbre_operator.reconciler.steps import CHANGE_CAUSE
from timbre_operator.reconciler.world import World
from timbre_operator.status.rollout import Rollout
from timbre_operator.voiceservice import VoiceService


@dataclass(frozen=True)
class Outcome:
    """What a turn's steps left."""

    failures: tuple[Failure, ...]
    strangers: tuple[Manifest, ...]
    """Objects that are called as children and have other owners, or none."""


async def found_children(
    world: World, key: ServiceKey, wanted: Sequence[Manifest], memory: Memory
) -> tuple[list[Manifest], dict[Key, Failure]]:
    """Objects with our labels for this service, and namesakes of wanted ones; and those that could not be read.

    Watches tell of objects with our labels only.  What was there and is missing may have lost its labels, and what could
    not be made has a namesake: these are asked for.  Of all others the API server says it when they are made.
    """
    known = list(world.live.children(key))
    doubtful = memory.doubtful - {key_of(manifest) for manifest in known}
    unknown = [manifest for manifest in wanted if key_of(manifest) in doubtful]
    answers = await asyncio.gather(*(_namesake(world, manifest, memory) for manifest in unknown))
    failures = {key_of(m): a for m, a in zip(unknown, answers, strict=True) if isinstance(a, Failure)}
    return [*known, *(a for a in answers if a is not None and not isinstance(a, Failure))], failures


async def _namesake(world: World, manifest: Manifest, memory: Memory) -> Manifest | Failure | None:
    key = key_of(manifest)
    if (standing := memory.reads.standing(key, "", world.clock())) is not None:
        return standing
    try:
        return await world.cluster.fetch(kind_of(manifest), key.namespace, key.name)
    except ClusterError as error:
        return memory.reads.add(key, "", error, world.clock())


def observed_of(
    world: World, service: VoiceService, memory: Memory, ready: Prerequisites, outcome: Outcome
) -> Observed:
    """The facts as they are after a turn's steps."""
    key = ServiceKey(service.namespace, service.name)
    children = world.live.children(key)
    target = memory.redis_target
    return Observed(
        service=service,
        found=(*children, *world.live.claims(key), *outcome.strangers),
        pods=world.live.pods(key),
        events=memory.warnings.events,
        kinds=world.surroundings.kinds,
        silent_kinds=world.surroundings.silent_kinds,
        metrics_api=world.surroundings.metrics_api,
        redis=target if isinstance(target, RedisFacts) else memory.redis,
        load=world.load.load(key),
        failures=(*ready.failures, *outcome.failures, *world.surroundings.failures),
        missing_references=ready.missing,
        changed=_changed(service, world),
    )


def serving_redis(pods: Iterable[Manifest]) -> frozenset[str]:
    """Which pods of a managed Redis are ready, each with the moment since when."""
    return frozenset(
        f"{pod['metadata'].get('uid')} {condition.get('lastTransitionTime')}"
        for pod in pods
        if (pod["metadata"].get("labels") or {}).get(labels.COMPONENT_LABEL) == labels.REDIS_COMPONENT
        for condition in (pod.get("status") or {}).get("conditions") or ()
        if condition["type"] == "Ready" and condition["status"] == "True"
    )


def _changed(service: VoiceService, world: World) -> str:
    """Why the running rollout began, as it was noted on the Deployment; empty when it is over."""
    deployment = world.live.find("Deployment", service.namespace, service.name)
    if deployment is None or Rollout.of(deployment).settled:
        return ""
    return str((deployment["metadata"].get("annotations") or {}).get(CHANGE_CAUSE, ""))
