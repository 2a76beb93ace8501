"""What does each field of a VoiceService mean?  A page for people, made from the CRD."""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Schema = Mapping[str, Any]


def to_reference(crd: Schema) -> str:
    """Tables of Markdown, one for each part of the spec and one for the status; what must hold stands below each."""
    root = crd["spec"]["versions"][0]["schema"]["openAPIV3Schema"]
    spec, status = root["properties"]["spec"], root["properties"]["status"]
    plain = {name: part for name, part in spec["properties"].items() if not _has_parts(part)}
    lines = [*_table("spec", {**spec, "properties": plain}, more=_rules(root))]
    for name, part in spec["properties"].items():
        if _has_parts(part):
            lines += _table(f"spec.{name}", part)
    lines += _table("status", status)
    return "\n".join(lines) + "\n"


def _table(path: str, schema: Schema, *, more: Iterable[str] = ()) -> Iterator[str]:
    yield from ("", f"## {path}", "")
    yield from (_meaning(schema), "")
    yield from ("| field | what | default | meaning |", "|---|---|---|---|")
    rules = [*more, *_rules(schema)]
    for name, part in _fields(schema):
        yield f"| `{name}` | {_kind(part)} | {_default(part)} | {_meaning(part)} |"
        rules += _rules(part)
    if rules:
        yield from ("", "What is refused, and what to write instead:", "")
        yield from (f"- {rule}" for rule in rules)


def _fields(schema: Schema, prefix: str = "") -> Iterator[tuple[str, Schema]]:
    """Every field below with its path, parents before their parts."""
    holder = schema.get("items", schema)
    for name, part in holder.get("properties", {}).items():
        path = f"{prefix}{name}{'[]' if part.get('type') == 'array' else ''}"
        yield path, part
        yield from _fields(part, f"{path}.")


def _has_parts(schema: Schema) -> bool:
    return bool(schema.get("properties") or schema.get("items", {}).get("properties"))


def _kind(schema: Schema) -> str:
    if choices := schema.get("enum"):
        return " or ".join(f"`{choice}`" for choice in choices)
    if schema.get("x-kubernetes-int-or-string"):
        return "quantity"
    if schema.get("x-kubernetes-preserve-unknown-fields"):
        return "any object"
    if "additionalProperties" in schema:
        return f"map of {_kind(schema['additionalProperties'])}"
    if schema["type"] == "array":
        return "list"
    return (_measure(schema) or str(schema["type"])) + _bounds(schema)


def _measure(schema: Schema) -> str:
    """A text that measures something is called by what its own rule calls it: a duration, a size, a share."""
    said = " ".join(rule["message"] for rule in schema.get("x-kubernetes-validations", ()))
    found = re.match(r"write a (\w+) ", said) if schema["type"] == "string" else None
    return found[1] if found else ""


def _bounds(schema: Schema) -> str:
    if "minimum" in schema and "maximum" in schema:
        return f", {schema['minimum']} to {schema['maximum']}"
    return f", {schema['minimum']} or more" if "minimum" in schema else ""


def _default(schema: Schema) -> str:
    """Of a field that holds a value; that of a part is what its fields say."""
    default = schema.get("default")
    return "" if default is None or isinstance(default, dict) else f"`{json.dumps(default).strip(chr(34))}`"


def _meaning(schema: Schema) -> str:
    return str(schema.get("description", "")).replace("|", "\\|").replace("<", "&lt;")


def _rules(schema: Schema) -> Iterator[str]:
    """Sentences that the API server answers with; those of single values repeat what their kind says."""
    if schema.get("type") not in {"object", "array"}:
        return
    for rule in (
        *schema.get("x-kubernetes-validations", ()),
        *schema.get("items", {}).get("x-kubernetes-validations", ()),
    ):
        yield str(rule["message"])
