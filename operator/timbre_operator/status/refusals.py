"""What did the API server refuse, us or the controllers that make our pods?"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final

from timbre_contract import labels
from timbre_operator.observed import Failure, Manifest, Observed, OptionalKind, controller_uid
from timbre_operator.status.finding import Finding, quoted
from timbre_operator.status.pods import conditions_of, warnings_about
from timbre_operator.voiceservice.names import CHILD_SUFFIXES, REDIS_SUFFIX

_RIGHT: Final = re.compile(r'cannot (\w+) resource "([^"]+)" in API group "([^"]*)"(?: in the namespace "([^"]+)")?')
"""As the RBAC authorizer says it."""
_QUOTA: Final = re.compile(r"(?:exceeded|failed) quota: ([^,: ]+)")
_PASSING: Final = {"Unavailable", "Conflict", "Timeout", "TooManyRequests", "InternalError", "ServiceUnavailable"}
"""Reasons that heal by themselves."""
DAMAGED: Final = "Damaged"
"""Reason of a failure that the operator found itself; its message says what helps."""
_WORDS: Final = "Event"
"""A kind that only tells."""
_SET: Final = "StatefulSet"
_NOT_CHILDREN: Final = {"PersistentVolumeClaim", "Pod", "ReplicaSet"}
"""Kinds whose names we do not choose."""


def name_taken(observed: Observed) -> Finding | None:
    """An object that is called as a child and is somebody else's."""
    taken = _taken(observed)
    if not taken:
        return None
    orphans = [manifest for manifest in taken if _is_orphan(manifest, observed)]
    if len(orphans) == len(taken):
        return Finding("NameTaken", _orphaned(orphans, observed))
    return Finding("NameTaken", _whose(next(manifest for manifest in taken if manifest not in orphans), observed))


def refused(observed: Observed) -> Finding | None:
    """What we tried and may not, or cannot; whatever heals by itself is told last."""
    told = (f for f in observed.failures if f.kind != _WORDS and not f.heals_at_once)
    failures = sorted(told, key=lambda failure: failure.reason in _PASSING)
    return _refusal(failures[0], observed) if failures else None


def words_refused(observed: Observed) -> Finding | None:
    """Events may be neither read nor posted: nothing stands still for it, and less is explained."""
    return next((_refusal(failure, observed) for failure in observed.failures if failure.kind == _WORDS), None)


def kind_silent(observed: Observed, kind: OptionalKind) -> Finding | None:
    """The API group of an optional kind does not answer."""
    if kind not in observed.silent_kinds:
        return None
    return Finding(
        "APIServerUnavailable",
        f"{kind} can be neither read nor written, and stay as they are; see kubectl get apiservice:"
        f" {quoted(observed.silent_kinds[kind])}",
    )


def pods_refused(observed: Observed) -> Finding | None:
    """The controllers may not make our pods."""
    for kind, name, words in _controllers_words(observed):
        if finding := _admission(words):
            return finding
        return Finding("PodsRefused", f"{kind} {name} cannot make its pods; correct spec.podTemplate: {quoted(words)}")
    return None


def _refusal(failure: Failure, observed: Observed) -> Finding:
    what = f"{failure.kind} {failure.name}".strip()
    if right := _RIGHT.search(failure.message):
        verb, resource, group, namespace = right.groups()
        where = f" in namespace {namespace}" if namespace else ""
        return Finding(
            "RightMissing",
            f"the operator may not {verb} {resource}{f'.{group}' if group else ''}{where}; upgrade its chart, whose roles"
            " grant this, or grant it to the operator's ServiceAccount",
        )
    if finding := _admission(failure.message):
        return finding
    if failure.reason == "Invalid":
        field = "spec.podTemplate" if observed.service.spec.pod_template else "the spec"
        return Finding("ObjectInvalid", f"{what} cannot be as {field} makes it; correct it: {quoted(failure.message)}")
    if failure.reason == DAMAGED:
        return Finding("ObjectDamaged", failure.message)
    if failure.reason in _PASSING:
        return Finding(
            "APIServerUnavailable", f"{what} could not be written and will be tried again: {quoted(failure.message)}"
        )
    return Finding(
        f"Apply{failure.reason}" if failure.reason.isalpha() else "ApplyFailed",
        f"{what} is refused; do what the API server asks for: {quoted(failure.message)}",
    )


def _admission(words: str) -> Finding | None:
    """Quotas, security standards, limits and webhooks, for whoever they stop."""
    if quota := _QUOTA.search(words):
        return Finding(
            "QuotaExceeded",
            f"quota {quota[1]} of the namespace is used up; raise it, or ask for less in spec.resources or maxReplicas:"
            f" {quoted(words)}",
        )
    if "violates PodSecurity" in words:
        return Finding(
            "PodSecurityViolated",
            f"the namespace allows no such pod; correct spec.podTemplate, which lifts a restriction: {quoted(words)}",
        )
    if "admission webhook" in words or "ValidatingAdmissionPolicy" in words:
        return Finding(
            "PolicyDenied",
            f"a policy of this cluster says no; do what it asks for, or exempt the service: {quoted(words)}",
        )
    return None


def _controllers_words(observed: Observed) -> Iterator[tuple[str, str, str]]:
    """Kind, name and words of a controller of ours that is not let."""
    deployment = observed.child("Deployment")
    condition = conditions_of(deployment).get("ReplicaFailure") if deployment else None
    if condition and condition.get("status") == "True":
        yield "Deployment", observed.service.name, str(condition.get("message", ""))
    name = f"{observed.service.name}{REDIS_SUFFIX}"
    stateful_set = observed.child("StatefulSet", REDIS_SUFFIX)
    if stateful_set is not None and not (stateful_set.get("status") or {}).get("replicas"):
        for event in warnings_about(observed, "StatefulSet", name):
            if event.reason == "FailedCreate":
                yield "StatefulSet", name, event.words


def _taken(observed: Observed) -> list[Manifest]:
    names = {observed.service.name + suffix for suffix in CHILD_SUFFIXES}
    return [
        manifest
        for manifest in observed.found
        if manifest["metadata"]["name"] in names
        and manifest["kind"] not in _NOT_CHILDREN
        and controller_uid(manifest) != observed.service.metadata.uid
    ]


def _is_orphan(manifest: Manifest, observed: Observed) -> bool:
    """Whether an operator made it for a service of this name, and nobody owns it any more."""
    metadata = manifest["metadata"]
    marks = {labels.MANAGED_BY_LABEL: labels.FIELD_MANAGER, labels.INSTANCE_LABEL: observed.service.name}
    return not metadata.get("ownerReferences") and marks.items() <= (metadata.get("labels") or {}).items()


def _orphaned(orphans: Sequence[Manifest], observed: Observed) -> str:
    """All of them in one command; whether the voices survive it is for the StatefulSet to say."""
    names = " ".join(f"{manifest['kind']}/{manifest['metadata']['name']}" for manifest in orphans)
    policies = [m["spec"].get("persistentVolumeClaimRetentionPolicy") or {} for m in orphans if m["kind"] == _SET]
    goes = any(policy.get("whenDeleted") == "Delete" for policy in policies)
    volume = "export the voices first, for their volume goes along" if goes else "the volume with the voices stays"
    return (
        "a VoiceService of this name was deleted with --cascade=orphan, and what it left is taken over by nobody; delete it, and"
        f" it is made anew ({volume}): kubectl -n {observed.service.namespace} delete {names}"
    )


def _whose(manifest: Manifest, observed: Observed) -> str:
    what = f"{manifest['kind']} {manifest['metadata']['name']}"
    owners = manifest["metadata"].get("ownerReferences") or ()
    before = any(owner.get("kind") == labels.KIND and owner.get("name") == observed.service.name for owner in owners)
    if before:
        return f"{what} belongs to a VoiceService of this name that was deleted; it is made anew once it is gone"
    return f"{what} is not ours; rename it, or the VoiceService"
