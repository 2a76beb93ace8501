"""Is what is now to be reported other than what was, and is it time to write it?

Conditions are written at once.  Numbers that move all the time, as the queue's depth, are written now and then: the status
is for people and for other people's autoscalers, and every write is an event for everybody who watches.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from typing import Any, Final

from timbre_contract import labels
from timbre_operator.errors import ClusterError, NotLeading
from timbre_operator.observed import Manifest
from timbre_operator.plan import Key, first_difference, key_of
from timbre_operator.ports import EventNote
from timbre_operator.reconciler.memory import Memory
from timbre_operator.reconciler.world import World
from timbre_operator.status import EventFacts, events
from timbre_operator.voiceservice.status import Status

NUMBERS_SECONDS: Final = 15.0
"""How often numbers that move are written at most: the period in which an HPA looks."""
SETTLING_SECONDS: Final = 15.0
"""How long a new process leaves the status of the one before as it is, until it knows as much: a look at Redis takes a
second or two, and rates need two looks at the pods, five seconds apart."""
_SETTLING_LOOK_SECONDS: Final = 1.0
_MOVING: Final = frozenset({"queueDepth", "hitRatePercent"})
_MOVING_INSIDE: Final = frozenset({"inputs"})
"""Of ``autoscaling``."""

logger = logging.getLogger("timbre.reconciler")


def to_manifest(status: Status) -> dict[str, Any]:
    """As the API has it."""
    written: dict[str, Any] = status.model_dump(by_alias=True, exclude_none=True, mode="json")
    return written


def due_seconds(
    there: Mapping[str, Any], wanted: Mapping[str, Any], *, written: Mapping[str, Any] | None, since_write: float
) -> float | None:
    """After how many seconds the wanted status is to be written: 0 at once, None not at all.

    ``written`` is what this process wrote last.  A field that is there, and that nobody here ever wrote, is none of ours.
    """
    if not _differs(there, wanted, written):
        return None
    if _differs(_calm(there), _calm(wanted), None if written is None else _calm(written)):
        return 0.0
    return max(0.0, NUMBERS_SECONDS - since_write)


def settling_seconds(manifest: Manifest, memory: Memory, *, complete: bool, now: float) -> float | None:
    """How soon to come back for the status that another process wrote; None where ours is to be written.

    ``complete`` is whether everything is known that the status tells of.  Without this every start of an operator would
    say of every service that nothing is known of it, and a second later the opposite.
    """
    told = (manifest.get("status") or {}).get("observedGeneration") == manifest["metadata"].get("generation")
    left = memory.since + SETTLING_SECONDS - now
    if complete or memory.written is not None or not told or left <= 0:
        return None
    return min(left, _SETTLING_LOOK_SECONDS)


async def report(
    world: World, manifest: Manifest, before: Status | None, status: Status, memory: Memory
) -> float | None:
    """Writes the status and posts what became of it, where that is due; after how many seconds it is to be tried again.

    Raises:
        NotLeading: another operator writes.
    """
    wanted, there = to_manifest(status), manifest.get("status") or {}
    now, key = world.clock(), key_of(manifest)
    due = due_seconds(there, wanted, written=memory.written, since_write=now - memory.reported)
    if due is None or due > 0:
        memory.other_refusals.lift(key)  # it went through though its answer was lost, or is not wanted any more
        return due
    if memory.other_refusals.standing(key, "status", now) is not None:
        return memory.other_refusals.seconds_until_next(now)
    try:
        await _write(world, manifest, wanted)
    except NotLeading:
        raise
    except ClusterError as error:
        return _refused(key, error, memory, now)
    memory.other_refusals.lift(key)
    memory.written, memory.reported = wanted, now
    await _announce(world, manifest, events(before, status), memory)
    return None


def _refused(key: Key, error: ClusterError, memory: Memory, now: float) -> float | None:
    fields = {"namespace": key.namespace, "voiceservice": key.name, "error": str(error)}
    logger.warning("the status could not be written", extra={"fields": fields})
    memory.other_refusals.add(key, "status", error, now)
    return memory.other_refusals.seconds_until_next(now)


async def _write(world: World, service: Manifest, status: Mapping[str, Any]) -> None:
    """Applies it; nobody else's fields are touched, and the spec cannot be."""
    metadata = service["metadata"]
    manifest = {
        "apiVersion": service["apiVersion"],
        "kind": service["kind"],
        # With the uid: one that was deleted and made anew gets nobody else's status.
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]},
        "status": status,
    }
    stored = await world.cluster.apply(manifest, manager=labels.FIELD_MANAGER, subresource="status")
    world.live.put(stored, quietly=True)


async def _announce(world: World, service: Manifest, told: tuple[EventFacts, ...], memory: Memory) -> None:
    """An Event that cannot be posted stops nothing: the status says the same, and the resync tells of a missing right."""
    key = key_of(service)
    for event in told:
        failed: ClusterError | None = None
        try:
            await world.cluster.announce(service, EventNote(event.type, event.reason, event.message))
        except NotLeading:
            raise
        except ClusterError as error:
            failed = error
        if memory.complains("events posted", failed):
            fields = {"namespace": key.namespace, "voiceservice": key.name, "error": str(failed)}
            logger.warning("an event could not be posted", extra={"fields": fields})


def _differs(there: Mapping[str, Any], wanted: Mapping[str, Any], written: Mapping[str, Any] | None) -> bool:
    if first_difference(wanted, there) is not None:
        return True
    return dict(there if written is None else written) != dict(wanted)


def _calm(status: Mapping[str, Any]) -> dict[str, Any]:
    """What is written as soon as it changes."""
    calm = {name: value for name, value in status.items() if name not in _MOVING}
    if "autoscaling" in calm:
        inside = calm["autoscaling"].items()
        calm["autoscaling"] = {name: value for name, value in inside if name not in _MOVING_INSIDE}
    return calm
