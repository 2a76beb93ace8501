"""How large is the volume of a managed Redis, and how does it grow with the spec?

A StatefulSet makes its claim once and never changes it.  Growing is asked of the claim itself; shrinking is not possible,
and never tried.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from math import ceil
from typing import Any

from timbre_contract import labels
from timbre_operator.desired.resources import MIB
from timbre_operator.errors import ClusterError, NotLeading
from timbre_operator.observed import Failure, Manifest
from timbre_operator.plan import Key
from timbre_operator.ports import Cluster
from timbre_operator.reconciler.live import Live
from timbre_operator.reconciler.memory import Memory
from timbre_operator.voiceservice import VoiceService
from timbre_operator.voiceservice.measures import quantity
from timbre_operator.voiceservice.names import REDIS_SUFFIX

logger = logging.getLogger("timbre.reconciler")


def claim_name(service: VoiceService) -> str:
    """As a StatefulSet of one calls it: the template's name, its own, and the number of the pod."""
    return f"data-{service.name}{REDIS_SUFFIX}-0"


def claimed_bytes(service: VoiceService, live: Live) -> int:
    """What the claim asks for; 0 where there is none."""
    claim = live.find("PersistentVolumeClaim", service.namespace, claim_name(service))
    return _asked(claim) if claim is not None else 0


def grown(service: VoiceService, claim: Manifest) -> dict[str, Any] | None:
    """The field that makes it as large as the spec says; None where it is large enough, or on its way out."""
    managed = service.managed_redis
    if managed is None or claim["metadata"].get("deletionTimestamp") or _asked(claim) >= managed.volume_bytes:
        return None
    written = managed.storage.size if managed.storage else None
    size = str(written) if written else f"{ceil(managed.volume_bytes / MIB)}Mi"
    metadata = claim["metadata"]
    return {
        "apiVersion": claim["apiVersion"],
        "kind": claim["kind"],
        # With its uid: a claim that is gone meanwhile is not made by this.
        "metadata": {"name": metadata["name"], "namespace": metadata["namespace"], "uid": metadata["uid"]},
        "spec": {"resources": {"requests": {"storage": size}}},
    }


async def grow_volume(
    service: VoiceService, cluster: Cluster, live: Live, memory: Memory, *, clock: Callable[[], float]
) -> list[Failure]:
    """Asks for it where the spec has grown; a storage class that allows no growth refuses, and that is a failure."""
    claim = live.find("PersistentVolumeClaim", service.namespace, claim_name(service))
    wanted = grown(service, claim) if claim is not None else None
    key = Key("PersistentVolumeClaim", service.namespace, claim_name(service))
    if wanted is None:
        memory.other_refusals.lift(key)
        return []
    size = wanted["spec"]["resources"]["requests"]["storage"]
    if (standing := memory.other_refusals.standing(key, size, clock())) is not None:
        return [standing]
    try:
        live.put(await cluster.apply(wanted, manager=labels.FIELD_MANAGER), quietly=True)
    except NotLeading:
        raise
    except ClusterError as error:
        return [memory.other_refusals.add(key, size, error, clock())]
    memory.other_refusals.lift(key)
    logger.info("volume grows", extra={"fields": {"object": f"PersistentVolumeClaim/{key.name}", "to": size}})
    return []


def _asked(claim: Manifest) -> int:
    return int(quantity(str(claim["spec"]["resources"]["requests"]["storage"])))
