"""What an API server makes of what is applied: it adds defaults, rewrites quantities and drops what is empty."""

from __future__ import annotations

import copy
from collections.abc import Iterable, Mapping
from typing import Any

from timbre_operator.plan import Action, Key, Plan, Verb, key_of

_DEFAULTS: dict[str, dict[str, Any]] = {
    "containerPort": {"protocol": "TCP"},
    "image": {"imagePullPolicy": "IfNotPresent", "terminationMessagePath": "/dev/termination-log"},
    "containers": {"dnsPolicy": "ClusterFirst", "restartPolicy": "Always"},
    "httpGet": {"successThreshold": 1},
}
"""What the API server adds to an object that has the field."""


def stored(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """As ``kubectl get`` shows it afterwards."""
    kept: dict[str, Any] = _rewritten(copy.deepcopy(dict(manifest)), ())
    kept["metadata"] |= {
        "uid": "f00d",
        "resourceVersion": "7",
        "generation": 1,
        "creationTimestamp": "2026-01-01T00:00:00Z",
    }
    kept["status"] = {"observedGeneration": 1}
    return kept


def _rewritten(value: Any, path: tuple[str, ...]) -> Any:
    if isinstance(value, dict):
        result = {name: _rewritten(part, (*path, name)) for name, part in value.items()}
        result = {name: part for name, part in result.items() if part not in (None, "", [], {}) or name == "emptyDir"}
        for field, defaults in _DEFAULTS.items():
            if field in result:
                result = defaults | result
        return result
    if isinstance(value, list):
        return [_rewritten(item, path) for item in value]
    if path[-2:-1] in {("requests",), ("limits",)} and isinstance(value, str):
        return _canonical(value)
    return value


def _canonical(quantity: str) -> str:
    """4096Mi is shown as 4Gi."""
    for small, large in (("Ki", "Mi"), ("Mi", "Gi"), ("Gi", "Ti")):
        number = quantity.removesuffix(small)
        if quantity.endswith(small) and number.isdecimal() and int(number) % 1024 == 0 and int(number):
            quantity = f"{int(number) // 1024}{large}"
    return quantity


def carried_out(plan: Plan, found: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """What is there after the plan."""
    there: dict[Key, Any] = {key_of(manifest): manifest for manifest in found}
    for action in plan.actions:
        _carry_out(action, there)
    return list(there.values())


def _carry_out(action: Action, there: dict[Key, Any]) -> None:
    match action.verb:
        case Verb.PRUNE:
            del there[action.key]
        case Verb.REFUSE | Verb.HAND_OVER:  # neither changes a value
            pass
        case _:
            assert action.manifest is not None
            there[action.key] = stored(action.manifest)
