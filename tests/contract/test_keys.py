"""The names of Timbre's keys in Redis: whoever changes one of these strings loses what was stored under the old one."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_contract.keys import VERSION_PREFIX, ServiceKeys

GOLDEN: dict[str, Callable[[ServiceKeys], str]] = {
    "timbre:1:{prod.narrator}:epoch": ServiceKeys.epoch,
    "timbre:1:{prod.narrator}:sequence": ServiceKeys.sequence,
    "timbre:1:{prod.narrator}:voice:acme:voice_0a": lambda keys: keys.voice("acme", "voice_0a"),
    "timbre:1:{prod.narrator}:voices:acme": lambda keys: keys.voices("acme"),
    "timbre:1:{prod.narrator}:tombstones:acme": lambda keys: keys.tombstones("acme"),
    "timbre:1:{prod.narrator}:consent:acme:cons_0a": lambda keys: keys.consent("acme", "cons_0a"),
    "timbre:1:{prod.narrator}:consents:acme": lambda keys: keys.consents("acme"),
    "timbre:1:{prod.narrator}:changes": ServiceKeys.changes,
    "timbre:1:{prod.narrator}:pods": ServiceKeys.pods,
    "timbre:1:{prod.narrator}:ready": ServiceKeys.ready,
    "timbre:1:{prod.narrator}:whisper": ServiceKeys.whisper,
    "timbre:1:{prod.narrator}:heat": ServiceKeys.heat,
    "timbre:1:features:prod.narrator:{d19e57}": lambda keys: keys.features("d19e57"),
    "timbre:1:lease:prod.narrator:{d19e57}": lambda keys: keys.lease("d19e57"),
    "timbre:1:failure:prod.narrator:{d19e57}:fkey": lambda keys: keys.failure("d19e57", "fkey"),
    "timbre:1:results:prod.narrator:{d19e57}": lambda keys: keys.results("d19e57"),
    "timbre:1:result:prod.narrator:{5a1d}": lambda keys: keys.result("5a1d"),
    "timbre:1:result_lease:prod.narrator:{5a1d}": lambda keys: keys.result_lease("5a1d"),
}

NAMES = st.text(st.characters(codec="utf-8") | st.sampled_from(":{}%"), max_size=6)
SCOPES = st.from_regex(r"[a-z0-9]([a-z0-9.-]{0,8}[a-z0-9])?", fullmatch=True)


def _slot_tag(key: str) -> str:
    """What Redis Cluster takes for the hash tag of a key (its specification, "Hash tags")."""
    start = key.find("{")
    end = key.find("}", start + 1)
    return key[start + 1 : end] if start >= 0 and end > start + 1 else key


@pytest.mark.parametrize("golden", GOLDEN)
def test_a_key_is_called_what_it_was_always_called(golden: str) -> None:
    assert GOLDEN[golden](ServiceKeys("prod.narrator")) == golden


def test_every_key_has_a_golden_string() -> None:
    named = {name for name in vars(ServiceKeys) if not name.startswith("_")}
    covered = {
        golden.removeprefix(VERSION_PREFIX).replace("{prod.narrator}:", "").partition(":")[0] for golden in GOLDEN
    }
    assert covered == named


@given(tenant=NAMES, voice_id=NAMES)
def test_all_of_a_service_lies_in_one_slot(tenant: str, voice_id: str) -> None:
    keys = ServiceKeys("a.b")
    ours = (
        *(keys.epoch(), keys.sequence(), keys.changes(), keys.pods(), keys.ready(), keys.whisper(), keys.heat()),
        *(keys.voice(tenant, voice_id), keys.voices(tenant), keys.tombstones(tenant)),
        *(keys.consent(tenant, voice_id), keys.consents(tenant)),
    )
    assert {_slot_tag(key) for key in ours} == {"a.b"}


@given(digest=st.from_regex(r"[0-9a-f]{1,64}", fullmatch=True), key=NAMES)
def test_all_about_a_recording_lies_in_one_slot(digest: str, key: str) -> None:
    keys = ServiceKeys("a.b")
    assert {_slot_tag(item) for item in (keys.features(digest), keys.lease(digest), keys.failure(digest, key))} == {
        digest
    }


@given(key=st.from_regex(r"[0-9a-f]{1,64}", fullmatch=True))
def test_speech_and_the_right_to_make_it_lie_in_one_slot(key: str) -> None:
    keys = ServiceKeys("a.b")
    assert {_slot_tag(keys.result(key)), _slot_tag(keys.result_lease(key))} == {key}


@given(one=st.tuples(NAMES, NAMES), other=st.tuples(NAMES, NAMES))
def test_two_voices_never_share_a_key(one: tuple[str, str], other: tuple[str, str]) -> None:
    keys = ServiceKeys("a")
    assert (keys.voice(*one) == keys.voice(*other)) == (one == other)
    assert (keys.consent(*one) == keys.consent(*other)) == (one == other)
    assert (keys.voices(one[0]) == keys.voices(other[0])) == (one[0] == other[0])


def test_a_border_inside_a_name_is_no_border() -> None:
    keys = ServiceKeys("a")
    assert keys.voice("b:c", "d") != keys.voice("b", "c:d")
    assert keys.voice("b%3Ac", "d") != keys.voice("b:c", "d")


@given(one=SCOPES, other=SCOPES, tenant=NAMES, voice_id=NAMES)
def test_equal_names_in_two_scopes_never_meet(one: str, other: str, tenant: str, voice_id: str) -> None:
    for ours, theirs in zip(_all_keys(one, tenant, voice_id), _all_keys(other, tenant, voice_id), strict=True):
        assert (ours == theirs) == (one == other)


def _all_keys(scope: str, tenant: str, voice_id: str) -> list[str]:
    keys = ServiceKeys(scope)
    return [
        keys.voice(tenant, voice_id),
        keys.changes(),
        keys.whisper(),
        keys.features("d1"),
        keys.lease("d1"),
        keys.result("k1"),
        keys.results("d1"),
        keys.result_lease("k1"),
    ]
