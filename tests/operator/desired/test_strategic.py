"""A strategic merge does what kubectl's does."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from timbre_operator.desired.strategic import merged

_BASE: dict[str, Any] = {
    "a": {"x": 1, "y": 2},
    "tolerations": [{"key": "gpu"}],
    "containers": [{"name": "server", "image": "i", "args": ["1"]}, {"name": "other"}],
}


@pytest.mark.parametrize(
    ("patch", "changed"),
    [
        ({"a": {"y": 3}}, {"a": {"x": 1, "y": 3}}),
        ({"a": {"y": None}}, {"a": {"x": 1}}),
        ({"a": {"$patch": "replace", "z": 1}}, {"a": {"z": 1}}),
        ({"tolerations": [{"key": "spot"}]}, {"tolerations": [{"key": "spot"}]}),
        (
            {"containers": [{"name": "server", "args": ["2"]}]},
            {"containers": [{"name": "server", "image": "i", "args": ["2"]}, {"name": "other"}]},
        ),
        (
            {"containers": [{"name": "new"}]},
            {"containers": [{"name": "server", "image": "i", "args": ["1"]}, {"name": "other"}, {"name": "new"}]},
        ),
        ({"containers": [{"name": "server", "$patch": "delete"}]}, {"containers": [{"name": "other"}]}),
        ({"new": {"b": 1}}, {"new": {"b": 1}}),
    ],
)
def test_a_patch_changes_what_it_names(patch: dict[str, Any], changed: dict[str, Any]) -> None:
    assert merged(_BASE, patch) == {**_BASE, **changed}


def test_null_removes() -> None:
    assert "tolerations" not in merged(_BASE, {"tolerations": None})


def test_ports_and_mounts_are_told_apart_by_their_own_keys() -> None:
    base = {"ports": [{"containerPort": 1, "name": "a"}], "volumeMounts": [{"mountPath": "/a", "name": "v"}]}
    patch = {"ports": [{"containerPort": 1, "name": "b"}], "volumeMounts": [{"mountPath": "/b", "name": "v"}]}
    assert merged(base, patch) == {
        "ports": [{"containerPort": 1, "name": "b"}],
        "volumeMounts": [{"mountPath": "/a", "name": "v"}, {"mountPath": "/b", "name": "v"}],
    }


def test_neither_side_is_changed() -> None:
    base, patch = copy.deepcopy(_BASE), {"containers": [{"name": "server", "env": [{"name": "A"}]}]}
    kept = copy.deepcopy(patch)
    merged(base, patch)
    assert (base, patch) == (_BASE, kept)
