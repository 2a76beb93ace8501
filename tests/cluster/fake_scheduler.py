"""Does the one node take a pod?  In the scheduler's own words where it does not."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from fractions import Fraction
from typing import Any

from timbre_operator.voiceservice.measures import quantity

Object = Mapping[str, Any]

_NO_VICTIM = "preemption: 0/1 nodes are available: 1 No preemption victims found for incoming pod."
_NO_HELP = "preemption: 0/1 nodes are available: 1 Preemption is not helpful for scheduling."


def why_not(pod: Object, *, node: Object, bound: Iterable[Object], unbound_claims: Iterable[str]) -> str:
    """Empty where the node takes it; ``bound`` are the pods that it has, ``unbound_claims`` claims without a volume."""
    if set(claims_of(pod)) & set(unbound_claims):
        return f"0/1 nodes are available: pod has unbound immediate PersistentVolumeClaims. {_NO_HELP}"
    marks = node["metadata"]["labels"]
    if not (pod["spec"].get("nodeSelector") or {}).items() <= marks.items():
        return f"0/1 nodes are available: 1 node(s) didn't match Pod's node affinity/selector. {_NO_HELP}"
    free = {name: quantity(str(value)) for name, value in node["status"]["allocatable"].items()}
    for other in bound:
        for name, amount in requests_of(other).items():
            free[name] = free.get(name, Fraction(0)) - amount
    short = sorted(name for name, amount in requests_of(pod).items() if amount > free.get(name, Fraction(0)))
    if short:
        reasons = ", ".join(f"1 Insufficient {name}" for name in short)
        return f"0/1 nodes are available: {reasons}. no new claims to deallocate, {_NO_VICTIM}"
    return ""


def requests_of(pod: Object) -> dict[str, Fraction]:
    """What its containers ask for together; a limit is a request where there is none."""
    total: dict[str, Fraction] = {}
    for container in pod["spec"]["containers"]:
        resources = container.get("resources") or {}
        for name, amount in {**(resources.get("limits") or {}), **(resources.get("requests") or {})}.items():
            total[name] = total.get(name, Fraction(0)) + quantity(str(amount))
    return total


def claims_of(pod: Object) -> list[str]:
    """Names of the claims that its volumes are on."""
    volumes = pod["spec"].get("volumes") or ()
    return [volume["persistentVolumeClaim"]["claimName"] for volume in volumes if "persistentVolumeClaim" in volume]
