"""The CRD is the typed resource, is fit for an API server, and promises nothing that pods cannot do."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from timbre_operator.voiceservice import build_crd
from timbre_operator.voiceservice.documents import to_yaml
from timbre_operator.voiceservice.redis import Redis

FILE = Path(__file__).resolve().parents[2] / "crds" / "voiceservices.yaml"
ROOT: dict[str, Any] = build_crd()["spec"]["versions"][0]["schema"]["openAPIV3Schema"]


def _parts(schema: dict[str, Any], path: str = "") -> Iterator[tuple[str, dict[str, Any]]]:
    """Every schema with its path."""
    yield path, schema
    for name, part in schema.get("properties", {}).items():
        yield from _parts(part, f"{path}.{name}")
    if "items" in schema:
        yield from _parts(schema["items"], f"{path}[]")
    if "additionalProperties" in schema:
        yield from _parts(schema["additionalProperties"], f"{path}.*")


PARTS = dict(_parts(ROOT))
OURS = {path: part for path, part in PARTS.items() if path.startswith((".spec", ".status"))}


def test_the_file_is_what_the_code_says() -> None:
    """``timbre-operator crd > crds/voiceservices.yaml`` makes it."""
    assert FILE.read_text("utf-8") == to_yaml([build_crd()])


def test_the_file_is_one_document_that_yaml_reads_back() -> None:
    assert yaml.safe_load(FILE.read_text("utf-8")) == build_crd()


def test_kubectl_explain_says_something_about_every_field() -> None:
    silent = [path for path, part in OURS.items() if not path.endswith(("[]", "*")) and not part.get("description")]
    assert silent == []


def test_everything_that_rules_look_at_is_bounded() -> None:
    """The API server estimates what a rule costs at worst; without bounds it refuses the CRD."""
    unbounded = [
        path
        for path, part in OURS.items()
        if (part.get("type") == "string" and "maxLength" not in part and "enum" not in part)
        or (part.get("type") == "array" and "maxItems" not in part)
        or ("additionalProperties" in part and "maxProperties" not in part)
    ]
    assert unbounded == []


def test_lists_say_how_they_are_merged() -> None:
    lists = [part for part in OURS.values() if part.get("type") == "array"]
    assert len(lists) > 5
    for part in lists:
        assert part["x-kubernetes-list-type"] in {"map", "atomic"}
        for key in part.get("x-kubernetes-list-map-keys", ()):
            assert key in part["items"]["required"]


def test_nothing_below_redis_has_a_default() -> None:
    """It would stay behind when a user changes from one alternative to the other."""
    assert [path for path, part in PARTS.items() if path.startswith(".spec.redis") and "default" in part] == []


def test_there_are_no_floats() -> None:
    assert [path for path, part in PARTS.items() if part.get("type") == "number"] == []


def test_the_schema_is_structural() -> None:
    allowed = {
        "type", "description", "properties", "required", "items", "additionalProperties", "default", "enum", "pattern",
        "minLength", "maxLength", "minimum", "maximum", "minItems", "maxItems", "maxProperties", "format", "nullable", "anyOf",
    }  # fmt: skip
    for path, part in PARTS.items():
        assert {key for key in part if not key.startswith("x-kubernetes-")} <= allowed, path
        assert "type" in part or part.get("x-kubernetes-int-or-string"), path


def test_every_rule_says_what_to_write() -> None:
    rules = [rule for part in PARTS.values() for rule in part.get("x-kubernetes-validations", ())]
    assert len(rules) > 30
    for rule in rules:
        assert rule["message"].startswith(("write ", "remove ")), rule
        assert "\n" not in rule["message"]


def test_what_does_not_work_yet_is_not_promised() -> None:
    assert {"routing", "api"}.isdisjoint(ROOT["properties"]["spec"]["properties"])


@pytest.mark.parametrize("path", [".status.conditions", ".status.selector", ".status.replicas", ".spec.replicas"])
def test_subresources_find_their_fields(path: str) -> None:
    assert path in PARTS


def test_columns_show_fields_that_exist() -> None:
    for column in build_crd()["spec"]["versions"][0]["additionalPrinterColumns"]:
        path = column["jsonPath"].partition("[?")[0]
        assert path in PARTS or path == ".metadata.creationTimestamp"


def test_every_field_of_the_typed_resource_is_in_the_schema() -> None:
    fields = {field.alias for field in Redis.model_fields.values()}
    assert fields == set(PARTS[".spec.redis"]["properties"])
