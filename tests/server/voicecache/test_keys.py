"""No two different extractions share a key."""

from dataclasses import replace
from typing import Any

import pytest

from tests.server.voicecache.descriptors import DESCRIPTOR
from timbre_server.ports import TensorSpec
from timbre_server.voicecache import feature_key


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"model_id": "other"},
        {"revision": "2"},
        {"encoder_id": "other"},
        {"encoder_config_hash": "beef"},
        {"feature_spec": {"embedding": TensorSpec("float16", (256,))}},
        {"feature_spec": {"embedding": TensorSpec("float32", (None,))}},
        {"feature_spec": {"vector": TensorSpec("float32", (256,))}},
    ],
    ids=str,
)
def test_whatever_changes_an_extraction_changes_the_key(change: dict[str, Any]) -> None:
    assert feature_key(replace(DESCRIPTOR, **change), "d1") != feature_key(DESCRIPTOR, "d1")


def test_another_recording_has_another_key() -> None:
    assert feature_key(DESCRIPTOR, "d1") != feature_key(DESCRIPTOR, "d2")


def test_parts_cannot_run_into_each_other() -> None:
    one = replace(DESCRIPTOR, model_id="ab", revision="c")
    other = replace(DESCRIPTOR, model_id="a", revision="bc")
    assert feature_key(one, "d1") != feature_key(other, "d1")


def test_the_transcript_counts_only_where_the_encoder_uses_it() -> None:
    assert feature_key(DESCRIPTOR, "d1", "hello") == feature_key(DESCRIPTOR, "d1")
    reading = replace(DESCRIPTOR, uses_transcript=True)
    assert feature_key(reading, "d1", "hello") != feature_key(reading, "d1", "world")
    assert feature_key(reading, "d1", " hello\n world") == feature_key(reading, "d1", "hello world")


def test_the_key_is_golden() -> None:
    """Changes only together with ``SCHEMA_VERSION``: every cached voice of every user hangs on it."""
    assert feature_key(DESCRIPTOR, "d1") == "d3b8a0ddf717b426d2902f2985b569b6eb95b75a9e1c95feb018a96792ca0177"
