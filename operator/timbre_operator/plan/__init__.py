"""What has to be done, so that what was found becomes what is wanted?

Pure.  Applying the plan and planning again gives an empty plan: at rest nothing is written.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Final

from timbre_contract import labels
from timbre_operator.plan.difference import first_difference
from timbre_operator.plan.owned_fields import first_unwanted, owns

__all__ = ["Action", "Key", "Plan", "Verb", "first_difference", "plan"]

Manifest = Mapping[str, Any]

_AUTOSCALERS: Final = {"HorizontalPodAutoscaler", "ScaledObject"}
"""Two of them on one Deployment fight, and KEDA refuses to be the second: an old one leaves before a new one comes."""
_FIXED: Final = {
    "StatefulSet": ("volumeClaimTemplates", "serviceName", "selector", "podManagementPolicy"),
    "Deployment": ("selector",),
}
"""Fields of the spec that the API server never changes: such an object is made anew while its pods stay."""


class Verb(StrEnum):
    """What is done with an object."""

    CREATE = "create"
    PATCH = "patch"
    RECREATE = "recreate"
    """Delete without its pods (``propagationPolicy: Orphan``), then create."""
    HAND_OVER = "hand over"
    """Apply, as ``labels.HANDOVER_MANAGER``: a field that the next step applies no more keeps its value."""
    PRUNE = "prune"
    REFUSE = "refuse"
    """It has our name and is not ours: nothing is done, and the status says so."""


@dataclass(frozen=True, order=True)
class Key:
    """Which object."""

    kind: str
    namespace: str
    name: str


@dataclass(frozen=True)
class Action:
    """One step."""

    verb: Verb
    key: Key
    manifest: Manifest | None
    """What is applied; None where nothing is."""
    reason: str
    """Why: the first difference, or what is wrong."""
    drift: bool = False
    """Whether somebody else changed what we had applied."""


@dataclass(frozen=True)
class Plan:
    """Steps in their order."""

    actions: tuple[Action, ...]

    def __bool__(self) -> bool:
        return bool(self.actions)


def key_of(manifest: Manifest) -> Key:
    """Kind, namespace and name."""
    metadata = manifest["metadata"]
    return Key(manifest["kind"], metadata.get("namespace", ""), metadata["name"])


def plan(wanted: Sequence[Manifest], found: Iterable[Manifest], *, owner_uid: str) -> Plan:
    """The steps from what was found to what is wanted.

    ``found`` holds every object that has our labels, and every object whose name a wanted one has.  ``owner_uid`` is that
    of the VoiceService: objects that another one owns, or nobody, are never touched.
    """
    there = {key_of(manifest): manifest for manifest in found}
    names = {key_of(manifest) for manifest in wanted}
    prunes = [
        Action(Verb.PRUNE, key, None, "no longer wanted")
        for key, manifest in sorted(there.items())
        if key not in names and _owned(manifest, owner_uid) and not _leaving(manifest)
    ]
    steps = [step for manifest in wanted for step in _steps(manifest, there.get(key_of(manifest)), owner_uid)]
    return Plan(
        (
            *(action for action in prunes if action.key.kind in _AUTOSCALERS),
            *steps,
            *(action for action in prunes if action.key.kind not in _AUTOSCALERS),
        )
    )


def _steps(wanted: Manifest, found: Manifest | None, owner_uid: str) -> Iterator[Action]:
    action = _step(wanted, found, owner_uid)
    if action is None:
        return
    if found is not None and action.verb is Verb.PATCH and (handover := _handover(wanted, found)):
        yield handover
    yield action


def _handover(wanted: Manifest, found: Manifest) -> Action | None:
    """Without it a Deployment that gets an autoscaler would fall to one pod: a field that its owner drops is reset."""
    if wanted["kind"] != "Deployment" or "replicas" in wanted["spec"] or not owns(found, "spec", "replicas"):
        return None
    metadata = {**{name: wanted["metadata"][name] for name in ("name", "namespace")}, **_identity(found)}
    replicas = found["spec"]["replicas"]
    manifest = {
        "apiVersion": wanted["apiVersion"],
        "kind": wanted["kind"],
        "metadata": metadata,
        "spec": {"replicas": replicas},
    }
    return Action(Verb.HAND_OVER, key_of(wanted), manifest, f"spec.replicas: {replicas}, from now on somebody else's")


def _step(wanted: Manifest, found: Manifest | None, owner_uid: str) -> Action | None:
    key = key_of(wanted)
    if found is None:
        return Action(Verb.CREATE, key, wanted, "not there")
    if not _owned(found, owner_uid):
        return Action(Verb.REFUSE, key, None, f"{key.kind} {key.name} is not ours; rename it, or the VoiceService")
    if labels.CREATE_ONCE_ANNOTATION in _annotations(wanted) or _leaving(found):
        return None  # what is leaving is created again once it is gone
    if difference := _fixed_difference(wanted, found):
        return Action(Verb.RECREATE, key, wanted, difference)
    unchanged = _annotations(wanted).get(labels.APPLIED_ANNOTATION) == _annotations(found).get(
        labels.APPLIED_ANNOTATION
    )
    difference = first_difference(_without_stamp(wanted), found)
    if difference is None and unchanged:
        return None
    if difference is None:
        difference = f"{first_unwanted(wanted, found) or 'a field'}: no longer wanted"
    patch = {**wanted, "metadata": {**wanted["metadata"], **_identity(found)}}
    return Action(Verb.PATCH, key, patch, difference, drift=unchanged)


def _identity(found: Manifest) -> dict[str, str]:
    """Nobody else's object of the same name is changed by mistake, where this one went a moment ago."""
    uid = found["metadata"].get("uid")
    return {"uid": uid} if uid else {}


def _fixed_difference(wanted: Manifest, found: Manifest) -> str | None:
    """The first difference in what cannot be changed; not what somebody merely left out."""
    for name in _FIXED.get(wanted["kind"], ()):
        difference = first_difference(wanted["spec"].get(name), found["spec"].get(name), ("spec", name))
        if difference is not None:
            return difference
    # The list is one value to the API server: a class that is left out is taken away, which it refuses.
    for claim, had in _storage_classes(found).items():
        if had and not _storage_classes(wanted).get(claim):
            return f"spec.volumeClaimTemplates[{claim}].spec.storageClassName: no longer wanted, was {had}"
    return None


def _storage_classes(manifest: Manifest) -> dict[str, str]:
    claims = manifest.get("spec", {}).get("volumeClaimTemplates") or ()
    return {claim["metadata"]["name"]: claim["spec"].get("storageClassName", "") for claim in claims}


def _without_stamp(manifest: Manifest) -> dict[str, Any]:
    """The stamp changes with everything; it would hide what changed."""
    annotations = {name: value for name, value in _annotations(manifest).items() if name != labels.APPLIED_ANNOTATION}
    return {**manifest, "metadata": {**manifest["metadata"], "annotations": annotations}}


def _annotations(manifest: Manifest) -> Mapping[str, str]:
    return manifest["metadata"].get("annotations") or {}


def _owned(manifest: Manifest, owner_uid: str) -> bool:
    owners = manifest["metadata"].get("ownerReferences") or ()
    return any(owner.get("controller") and owner.get("uid") == owner_uid for owner in owners)


def _leaving(manifest: Manifest) -> bool:
    return bool(manifest["metadata"].get("deletionTimestamp"))
