"""Why does a pod not start?  The API's warnings about it, read when there is something to explain, and never watched.

A cluster has far more events than everything else together; those about a pod that serves tell nothing that counts.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Final

from timbre_operator.errors import ClusterError
from timbre_operator.kinds import EVENT
from timbre_operator.observed import Manifest
from timbre_operator.ports import Cluster, ServiceKey
from timbre_operator.reconciler.live import Live
from timbre_operator.reconciler.memory import Memory, Warnings

LOOK_SECONDS: Final = 10.0
"""How long an answer is good for at first, and after which time it is asked again while something does not serve."""
_LONGEST_SECONDS: Final = 60.0
"""The same once it has been so for long: a hundred services without a node cost a few requests a second."""
_MOST: Final = 5
"""Objects about which is asked at once: of many pods that do not start the first ones say why."""

logger = logging.getLogger("timbre.reconciler")


async def explain(
    key: ServiceKey, cluster: Cluster, live: Live, memory: Memory, *, clock: Callable[[], float]
) -> float | None:
    """Brings ``memory.warnings`` up to date; after how many seconds it is worth looking again, None while all serve."""
    unclear = list(_unclear(live.pods(key), live.children(key), live.claims(key)))[:_MOST]
    warnings = memory.warnings
    if not unclear:
        memory.warnings = Warnings()
        return None
    about = frozenset(manifest["metadata"]["uid"] for manifest in unclear)
    good_for = warnings.good_for_seconds if about == warnings.about else LOOK_SECONDS
    left = warnings.asked + good_for - clock()
    if left > 0:
        return left
    found = await _read(key, cluster, unclear, memory)
    good_for = min(2 * good_for, _LONGEST_SECONDS) if about == warnings.about else LOOK_SECONDS
    memory.warnings = Warnings(found, about, clock(), good_for)
    return good_for


async def _read(key: ServiceKey, cluster: Cluster, unclear: Iterable[Manifest], memory: Memory) -> tuple[Manifest, ...]:
    """As far as they can be read; a right that is missing is told by the resync too."""
    found: list[Manifest] = []
    failed: ClusterError | None = None
    for manifest in unclear:
        try:
            about = await cluster.find(EVENT, namespace=key.namespace, fields=_about(manifest))
            found += [event for event in about if _warns(event)]
        except ClusterError as error:
            failed = error
            break
    if memory.complains("events read", failed):
        fields = {"namespace": key.namespace, "voiceservice": key.name, "error": str(failed)}
        logger.warning("events could not be read", extra={"fields": fields})
    return tuple(sorted(found, key=_moment, reverse=True))


def _unclear(pods: Iterable[Manifest], children: Iterable[Manifest], claims: Iterable[Manifest]) -> Iterator[Manifest]:
    """What does not do its work, and cannot say why itself; not what is so new that nobody has looked at it yet."""
    for claim in claims:
        if (claim.get("status") or {}).get("phase") == "Pending":
            yield claim
    for child in children:
        status = child.get("status") or {}
        if child["kind"] == "StatefulSet" and status.get("observedGeneration") and not status.get("replicas"):
            yield child
    yield from (pod for pod in pods if not _serves(pod))


def _serves(pod: Manifest) -> bool:
    if pod["metadata"].get("deletionTimestamp"):
        return True  # it is leaving, and nobody waits for it
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return not conditions or any(c["type"] == "Ready" and c["status"] == "True" for c in conditions)


def _about(manifest: Manifest) -> dict[str, str]:
    about = {"involvedObject.uid": manifest["metadata"]["uid"]}
    return about if manifest["kind"] == "PersistentVolumeClaim" else {**about, "type": "Warning"}


def _warns(event: Manifest) -> bool:
    """A claim for which there is neither a class nor a volume is told so by an event that Kubernetes calls Normal."""
    return event.get("type") == "Warning" or event.get("reason") == "FailedBinding"


def _moment(event: Manifest) -> str:
    series: Any = event.get("series") or {}
    times = (series.get("lastObservedTime"), event.get("lastTimestamp"), event.get("eventTime"))
    return str(next((time for time in times if time), event["metadata"].get("creationTimestamp") or ""))
