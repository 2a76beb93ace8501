"""Is the volume of the managed Redis there, and as large as it shall be?"""

from __future__ import annotations

from typing import Any, Final

from timbre_operator.observed import Manifest, Observed
from timbre_operator.status.finding import Finding, quoted
from timbre_operator.status.pods import conditions_of, warnings_about
from timbre_operator.voiceservice.measures import quantity
from timbre_operator.voiceservice.names import REDIS_SUFFIX

_RESIZE_ERRORS: Final = ("ControllerResizeError", "NodeResizeError")


def claim_of(observed: Observed) -> Manifest | None:
    """That of the one pod of the StatefulSet; Kubernetes made it, so nobody owns it."""
    name = f"data-{observed.service.name}{REDIS_SUFFIX}-0"
    for manifest in observed.found:
        if manifest["kind"] == "PersistentVolumeClaim" and manifest["metadata"]["name"] == name:
            return manifest
    return None


def claim_pending(observed: Observed) -> Finding | None:
    """No volume comes; a claim that waits for its pod is told nothing about."""
    claim = claim_of(observed)
    if claim is None or (claim.get("status") or {}).get("phase") == "Bound":
        return None
    name = str(claim["metadata"]["name"])
    said = list(warnings_about(observed, "PersistentVolumeClaim", name))
    if not said:
        return None
    why, cure = _cause(claim, said[0].words)
    # Its class never changes. A service that never had a volume has no voices to lose.
    anew = (
        f"or delete VoiceService {observed.service.name} and this claim, and make it anew with another"
        " spec.redis.managed.storage.className"
    )
    return Finding(
        "VolumePending",
        f"PersistentVolumeClaim {name} gets no volume: {why}; {cure}, {anew}; it is told: {quoted(said[0].words)}",
    )


def _cause(claim: Manifest, words: str) -> tuple[str, str]:
    """Why no volume comes, and what helps the claim as it is."""
    storage_class = claim["spec"].get("storageClassName")
    if storage_class == "":
        return "its storageClassName is empty, and no volume fits", "create a PersistentVolume for it"
    if storage_class is None:
        return (
            "it names no storage class, and the cluster has no default one",
            "make one the default (kubectl get storageclass lists them)",
        )
    if "storageclass" in words and "not found" in words:
        return (
            f"there is no storage class {storage_class}",
            "create it (kubectl get storageclass lists those that are there)",
        )
    return (
        f"storage class {storage_class} does not make one",
        f"see what its provisioner lacks by kubectl get storageclass {storage_class} -o yaml",
    )


def of_another_class(observed: Observed) -> Finding | None:
    """A volume that was there before the service, as one that a deleted namesake left, keeps its class."""
    managed, claim = observed.service.managed_redis, claim_of(observed)
    wanted = managed.storage.class_name if managed and managed.storage else None
    if wanted is None or claim is None or (claim.get("status") or {}).get("phase") != "Bound":
        return None
    name, has = claim["metadata"]["name"], str(claim["spec"].get("storageClassName") or "")
    if has == wanted:
        return None
    return Finding(
        "VolumeOfAnotherClass",
        f"PersistentVolumeClaim {name} was there before, with storage class {has or '(none)'} instead of {wanted}, and is used as"
        f" it is with the voices on it; to go on with it, delete VoiceService {observed.service.name} and make it anew without"
        " spec.redis.managed.storage.className, or with that of the claim; to move, export the voices, delete both, and"
        " import them again",
    )


def not_grown(observed: Observed) -> Finding | None:
    """The spec wants a larger volume, and the storage does not give it."""
    refusals = [f.message for f in observed.failures if f.kind == "PersistentVolumeClaim" and "resize" in f.message]
    claim = claim_of(observed)
    if claim is not None and not refusals:
        conditions = conditions_of(claim)
        refusals = [str(conditions[kind].get("message", "")) for kind in _RESIZE_ERRORS if kind in conditions]
        refusals += [""] if "Infeasible" in str((claim.get("status") or {}).get("allocatedResourceStatuses")) else []
    if not refusals:
        return None
    has = f" (it has {_capacity(claim)})" if _capacity(claim) else ""
    return Finding(
        "VolumeNotGrown",
        f"the volume of Redis cannot grow{has}; export the voices, and import them into a service whose storage class"
        f" has allowVolumeExpansion; it is told: {quoted(refusals[0])}",
    )


def growing(observed: Observed) -> bool:
    """Whether a larger volume was asked for and is not there yet."""
    claim = claim_of(observed)
    if claim is None or not _capacity(claim):
        return False
    return quantity(str(claim["spec"]["resources"]["requests"]["storage"])) > quantity(_capacity(claim))


def _capacity(claim: Manifest | None) -> str:
    status: Any = (claim or {}).get("status") or {}
    return str((status.get("capacity") or {}).get("storage") or "")
