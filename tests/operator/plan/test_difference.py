"""What counts as a difference, and where the first one is."""

from __future__ import annotations

from typing import Any

import pytest

from timbre_operator.plan import first_difference


@pytest.mark.parametrize(
    ("wanted", "found"),
    [
        ({"a": 1}, {"a": 1, "b": 2}),
        ({"a": []}, {}),
        ({"a": {}}, {"a": None}),
        ({"a": ""}, {}),
        ([{"name": "x", "a": 1}], [{"name": "y"}, {"name": "x", "a": 1, "b": 2}]),
        ({"requests": {"cpu": "1000m"}}, {"requests": {"cpu": "1"}}),
        ({"limits": {"memory": "1024Mi"}}, {"limits": {"memory": "1Gi"}}),
        ({"averageValue": "0.7"}, {"averageValue": "700m"}),
        ({"sizeLimit": "1024Mi"}, {"sizeLimit": "1Gi"}),
        ([1, 2], [1, 2]),
    ],
)
def test_what_the_api_server_rewrites_is_the_same(wanted: Any, found: Any) -> None:
    assert first_difference(wanted, found) is None


@pytest.mark.parametrize(
    ("wanted", "found", "said"),
    [
        ({"a": {"b": 1}}, {"a": {"b": 2}}, "a.b: 1, was 2"),
        ({"a": {"b": 1}}, {"a": {}}, "a.b: 1, was not there"),
        ({"a": False}, {}, "a: false, was not there"),
        ({"a": 0}, {}, "a: 0, was not there"),
        ({"a": True}, {"a": 1}, "a: true, was 1"),
        ({"a": "1"}, {"a": 1}, 'a: "1", was 1'),
        ({"a": "1000m"}, {"a": "1"}, 'a: "1000m", was "1"'),
        ({"a": [1, 2]}, {"a": [1]}, "a: 2 items, was 1"),
        ({"a": [1, 2]}, {"a": [1, 3]}, "a[1]: 2, was 3"),
        ({"a": [{"name": "x"}]}, {"a": [{"name": "y"}]}, 'a[x]: {"name": "x"}, was not there'),
        ({"a": {"b": {"c": 1}}}, {"a": 1}, 'a: {"b": {"c": 1}}, was 1'),
        ({"requests": {"cpu": "1"}}, {"requests": {"cpu": "2"}}, 'requests.cpu: "1", was "2"'),
        ({"requests": {"cpu": "1"}}, {"requests": {"cpu": "many"}}, 'requests.cpu: "1", was "many"'),
        ({"data": {"a": "secret"}}, {"data": {"a": "other"}}, "data.a: another value"),
        ({"a": "x" * 100}, {}, f'a: "{"x" * 76}..., was not there'),
    ],
)
def test_the_first_difference_is_named_with_both_values(wanted: Any, found: Any, said: str) -> None:
    assert first_difference(wanted, found) == said


def test_only_the_first_difference_is_told() -> None:
    assert first_difference({"a": 1, "b": 1}, {"a": 2, "b": 2}) == "a: 1, was 2"


def test_items_that_share_a_name_are_compared_by_place() -> None:
    assert (
        first_difference([{"name": "x", "a": 1}, {"name": "x", "a": 2}], [{"name": "x", "a": 1}]) == ": 2 items, was 1"
    )
