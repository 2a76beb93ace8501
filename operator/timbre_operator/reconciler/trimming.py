"""Which parts of an object are worth memory?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from timbre_contract import labels

_WITHOUT_FIELDS: Final = {labels.KIND, "Pod", "PersistentVolumeClaim"}
"""Kinds that the plan never compares: who set which field is of no use there."""
_LAST_APPLIED: Final = "kubectl.kubernetes.io/last-applied-configuration"
"""The object once more, as text."""


def trimmed(manifest: Mapping[str, Any]) -> dict[str, Any]:
    """The same without what other managers own, which is as large as the object itself."""
    metadata = dict(manifest["metadata"])
    fields = metadata.pop("managedFields", None) or ()
    ours = [entry for entry in fields if _is_ours(entry)]
    if ours and manifest["kind"] not in _WITHOUT_FIELDS:
        metadata["managedFields"] = ours
    annotations = metadata.get("annotations") or {}
    if _LAST_APPLIED in annotations:
        metadata["annotations"] = {name: text for name, text in annotations.items() if name != _LAST_APPLIED}
    return {**manifest, "metadata": metadata}


def _is_ours(entry: Mapping[str, Any]) -> bool:
    """What ``plan.owned_fields`` reads."""
    applied = entry.get("manager") == labels.FIELD_MANAGER and entry.get("operation") == "Apply"
    return applied and not entry.get("subresource")
