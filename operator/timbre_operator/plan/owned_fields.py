"""Which field did we apply once and want no more?

The API server keeps, for each manager, the set of fields that it applied (``metadata.managedFields``); it is read here.

References: sigs.k8s.io/structured-merge-diff, ``fieldpath``: ``f:`` names a field, ``k:`` the item of a list by its keys,
``v:`` an item by its value, ``i:`` one by its place, and ``.`` the thing itself.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from timbre_contract import labels


def first_unwanted(wanted: Mapping[str, Any], found: Mapping[str, Any]) -> str | None:
    """Path of the first field that we own in ``found`` and that ``wanted`` lacks; None where there is none."""
    return _unwanted(wanted, _ours(found), "")


def owns(found: Mapping[str, Any], *path: str) -> bool:
    """Whether we applied this field, and would take it away by applying without it."""
    fields: Any = _ours(found)
    for name in path:
        if f"f:{name}" not in fields:
            return False
        fields = fields[f"f:{name}"]
    return True


def _ours(found: Mapping[str, Any]) -> Mapping[str, Any]:
    for entry in found["metadata"].get("managedFields") or ():
        applied = entry.get("manager") == labels.FIELD_MANAGER and entry.get("operation") == "Apply"
        if applied and not entry.get("subresource"):
            fields: Mapping[str, Any] = entry.get("fieldsV1") or {}
            return fields
    return {}


def _unwanted(wanted: Any, fields: Mapping[str, Any], path: str) -> str | None:
    for name, inner in fields.items():
        if name == ".":
            continue
        there, part, where = _part(wanted, name, path)
        if not there:
            return where
        if deeper := _unwanted(part, inner, where):
            return deeper
    return None


def _part(wanted: Any, name: str, path: str) -> tuple[bool, Any, str]:
    """Whether ``wanted`` has it, what it is, and its path."""
    kind, _, key = name.partition(":")
    if kind == "f":
        where = f"{path}.{key}".lstrip(".")
        return (
            isinstance(wanted, Mapping) and key in wanted,
            wanted.get(key) if isinstance(wanted, Mapping) else None,
            where,
        )
    items = wanted if isinstance(wanted, list) else []
    if kind == "i":
        place = int(key)
        return place < len(items), items[place] if place < len(items) else None, f"{path}[{key}]"
    value = json.loads(key)
    if kind == "v":
        return value in items, value, f"{path}[{value}]"
    found = [item for item in items if _is_item(item, value)]
    return bool(found), found[0] if found else None, f"{path}[{next(iter(value.values()))}]"


def _is_item(item: Any, keys: Mapping[str, Any]) -> bool:
    """Keys that the item lacks were filled in by the API server, as the protocol of a port."""
    return isinstance(item, Mapping) and all(item.get(name, value) == value for name, value in keys.items())
