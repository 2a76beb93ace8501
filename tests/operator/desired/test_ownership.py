"""The stamp tells two manifests apart, and nothing else changes it."""

from __future__ import annotations

from timbre_contract import labels
from timbre_operator.desired.ownership import digest, stamped


def test_the_stamp_does_not_depend_on_the_order_of_keys() -> None:
    assert digest({"a": 1, "b": {"c": 2, "d": 3}}) == digest({"b": {"d": 3, "c": 2}, "a": 1})


def test_another_value_is_another_stamp() -> None:
    assert digest({"a": 1}) != digest({"a": "1"})


def test_a_stamp_stands_beside_other_annotations_and_leaves_the_manifest_alone() -> None:
    manifest = {"kind": "Secret", "metadata": {"name": "a", "annotations": {"b": "c"}}}
    result = stamped(manifest)
    assert result["metadata"]["annotations"] == {"b": "c", labels.APPLIED_ANNOTATION: digest(manifest)}
    assert manifest["metadata"]["annotations"] == {"b": "c"}
