"""What comes out when a user's part of a pod is laid over ours?

A strategic merge as ``kubectl patch`` does it: objects are merged, lists of named things by their names, other lists are
replaced, null removes, and ``$patch: delete`` removes an item of a list.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

# The patchMergeKey tags of k8s.io/api/core/v1 PodSpec and below.
_MERGE_KEYS: Final = {
    "containers": "name", "initContainers": "name", "ephemeralContainers": "name", "volumes": "name", "env": "name",
    "volumeMounts": "mountPath", "volumeDevices": "devicePath", "ports": "containerPort", "imagePullSecrets": "name",
    "hostAliases": "ip", "topologySpreadConstraints": "topologyKey", "resourceClaims": "name",
}  # fmt: skip
_DIRECTIVE: Final = "$patch"


def merged(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    """A new object; neither argument changes."""
    if patch.get(_DIRECTIVE) == "replace":
        return {name: value for name, value in patch.items() if name != _DIRECTIVE}
    result = dict(base)
    for name, value in patch.items():
        old = result.get(name)
        if value is None:
            result.pop(name, None)
        elif isinstance(value, Mapping) and isinstance(old, Mapping):
            result[name] = merged(old, value)
        elif name in _MERGE_KEYS and isinstance(value, list) and isinstance(old, list):
            result[name] = _merged_list(old, value, _MERGE_KEYS[name])
        else:
            result[name] = value
    return result


def _merged_list(base: Sequence[Any], patch: Sequence[Any], key: str) -> list[Any]:
    """Ours keep their places; new ones follow in their order."""
    if not all(isinstance(item, Mapping) and key in item for item in (*base, *patch)):
        return list(patch)
    result = {item[key]: item for item in base}
    for item in patch:
        if item.get(_DIRECTIVE) == "delete":
            result.pop(item[key], None)
        else:
            result[item[key]] = merged(result.get(item[key], {}), item)
    return list(result.values())
