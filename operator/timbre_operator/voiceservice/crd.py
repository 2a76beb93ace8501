"""What does the API server know about VoiceServices?  The CRD, made from the typed resource."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from timbre_contract import labels
from timbre_operator.voiceservice.voice_service import VoiceService

_COLUMNS: Final = (
    ("Ready", "string", '.status.conditions[?(@.type=="Ready")].status', 0),
    ("Replicas", "integer", ".status.readyReplicas", 0),
    ("Desired", "integer", ".status.desiredReplicas", 0),
    ("Queue", "integer", ".status.queueDepth", 0),
    ("HitRate", "integer", ".status.hitRatePercent", 0),
    ("Age", "date", ".metadata.creationTimestamp", 0),
    ("Reason", "string", '.status.conditions[?(@.type=="Ready")].reason', 1),
    ("Engine", "string", ".spec.engine.name", 1),
    ("Scaling", "string", ".spec.autoscaling.class", 1),
    ("Endpoint", "string", ".status.endpoint", 1),
)
"""Name, type, path, and 1 for those of ``-o wide`` only."""

# Keywords of JSON schema that a structural schema does not have, or that mean nothing to it.
_DROPPED: Final = {"title", "additionalProperties", "$defs", "const"}


def build_crd() -> dict[str, Any]:
    """``crds/voiceservices.yaml``."""
    return {
        "apiVersion": "apiextensions.k8s.io/v1",
        "kind": "CustomResourceDefinition",
        "metadata": {
            "name": f"{labels.PLURAL}.{labels.GROUP}",
            "labels": {labels.NAME_LABEL: labels.APPLICATION, labels.PART_OF_LABEL: labels.APPLICATION},
        },
        "spec": {
            "group": labels.GROUP,
            "names": {
                "kind": labels.KIND,
                "listKind": f"{labels.KIND}List",
                "plural": labels.PLURAL,
                "singular": labels.KIND.lower(),
                "shortNames": ["vs"],
                "categories": ["voice"],
            },
            "scope": "Namespaced",
            "versions": [_version()],
        },
    }


def _version() -> dict[str, Any]:
    return {
        "name": labels.VERSION,
        "served": True,
        "storage": True,
        "additionalPrinterColumns": [
            {"name": name, "type": kind, "jsonPath": path, **({"priority": 1} if wide else {})}
            for name, kind, path, wide in _COLUMNS
        ],
        "subresources": {
            "status": {},
            "scale": {
                "specReplicasPath": ".spec.replicas",
                "statusReplicasPath": ".status.replicas",
                "labelSelectorPath": ".status.selector",
            },
        },
        "schema": {"openAPIV3Schema": _root_schema()},
    }


def _root_schema() -> dict[str, Any]:
    document = VoiceService.model_json_schema(by_alias=True, mode="validation")
    root = _structural(document, document.get("$defs", {}))
    # The API server checks these itself; only metadata.name may be seen by rules.
    root["properties"] |= {"apiVersion": {"type": "string"}, "kind": {"type": "string"}, "metadata": {"type": "object"}}
    del root["required"]
    return root


def _structural(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """A structural schema: references resolved, ``| None`` folded away, rules added."""
    schema = _resolved(schema, definitions)
    if schema.get("x-kubernetes-int-or-string"):
        texts: dict[str, Any] = {name: value for name, value in schema.items() if name in {"pattern", "description"}}
        return texts | {"anyOf": [{"type": "integer"}, {"type": "string"}], "x-kubernetes-int-or-string": True}
    order = ("type", "description", *schema)  # people read the file too
    result = {name: schema[name] for name in order if name in schema and name not in _DROPPED}
    if "description" in result:
        result["description"] = " ".join(str(result["description"]).split())
    if "const" in schema:
        result["enum"] = [schema["const"]]
    if "default" in result:
        # In full: the rules of a part are checked on its default before the defaults of its fields are filled in.
        result["default"] = _without_nulls(result["default"])
    if "properties" in schema:
        result["properties"] = {name: _structural(part, definitions) for name, part in schema["properties"].items()}
    if "items" in schema:
        result["items"] = _structural(schema["items"], definitions)
    if isinstance(values := schema.get("additionalProperties"), dict):
        result["additionalProperties"] = _structural(values, definitions)
    return result


def _resolved(schema: Mapping[str, Any], definitions: Mapping[str, Any]) -> dict[str, Any]:
    """Without ``$ref`` and ``anyOf`` with null; what stands beside them wins."""
    beside = {name: value for name, value in schema.items() if name not in {"$ref", "anyOf"}}
    if beside.get("default", 0) is None:
        del beside["default"]
    if reference := schema.get("$ref"):
        return {**_resolved(definitions[reference.rpartition("/")[2]], definitions), **beside}
    if choices := schema.get("anyOf"):
        if beside.get("x-kubernetes-int-or-string"):
            return beside
        real = [choice for choice in choices if choice.get("type") != "null"]
        assert len(real) == 1, f"one alternative only: {choices}"
        return {**_resolved(real[0], definitions), **beside}
    return beside


def _without_nulls(value: Any) -> Any:
    if not isinstance(value, dict):
        return value
    return {name: _without_nulls(part) for name, part in value.items() if part is not None}
