"""No two sounds share a key, and no sound has two."""

from dataclasses import fields, replace
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tests.server.resultcache.sayings import DESCRIPTOR, PARAMETERS, SAYINGS, SPEEDS, VOICE, saying
from timbre_server.domain.speech import SpeechParameters
from timbre_server.domain.text import heard_text
from timbre_server.ports import Saying, VoiceIdentity
from timbre_server.resultcache.keys import ResultKeys

KEYS = ResultKeys(DESCRIPTOR)

VOICE_CHANGES = [{"preset": "alloy"}, {"digest": "e" * 64}, {"generation": 2}]
PARAMETER_CHANGES = [
    {"speed": 1.0000001},
    {"emotion": "happy"},
    {"pitch_semitones": 0.0000001},
    {"language": "en"},
    {"instructions": "Whisper."},
    {"seed": 1},
]


@pytest.mark.parametrize("change", VOICE_CHANGES, ids=str)
def test_whatever_makes_another_voice_changes_the_key(change: dict[str, Any]) -> None:
    assert KEYS(saying(voice=replace(VOICE, **change))) != KEYS(saying())


@pytest.mark.parametrize("change", PARAMETER_CHANGES, ids=str)
def test_whatever_makes_another_sound_changes_the_key(change: dict[str, Any]) -> None:
    assert KEYS(saying(**change)) != KEYS(saying())


def test_no_part_of_a_voice_and_no_parameter_is_forgotten() -> None:
    """Whoever adds one has to decide here whether it can be heard."""
    tried = {name for change in [*VOICE_CHANGES, *PARAMETER_CHANGES] for name in change} | {"transcript"}
    assert tried == {field.name for kind in (VoiceIdentity, SpeechParameters) for field in fields(kind)}


@pytest.mark.parametrize(
    "change",
    [
        {"name": "other"},
        {"model_id": "other"},
        {"revision": "2"},
        {"encoder_id": "other"},
        {"encoder_config_hash": "beef"},
        {"speech_config_hash": "beef"},
        {"sample_rate_hz": 22_050},
    ],
    ids=str,
)
def test_whatever_makes_another_engine_changes_the_key(change: dict[str, Any]) -> None:
    assert ResultKeys(replace(DESCRIPTOR, **change))(saying()) != KEYS(saying())


@pytest.mark.parametrize(
    "change",
    [{"device": "cuda:0"}, {"max_batch_size": 3}, {"streams": True}, {"languages": ("en", "de")}],
    ids=str,
)
def test_where_and_how_an_engine_runs_does_not(change: dict[str, Any]) -> None:
    assert ResultKeys(replace(DESCRIPTOR, **change))(saying()) == KEYS(saying())


def test_another_tenant_has_other_keys() -> None:
    assert KEYS(saying(tenant="acme")) != KEYS(saying())


def test_the_key_is_golden() -> None:
    """Changes only together with ``SCHEMA_VERSION``: all speech that was ever stored hangs on it."""
    assert KEYS(saying()) == "d78e5c9f884a1566755a01e7529346e9b29c183b8a21e4b2e7c6714214bb5350"


def _heard(one: Saying, *, transcripts: bool) -> list[object]:
    """All of it that can be heard."""
    voice = one.voice
    transcript = heard_text(voice.transcript) if transcripts else ""
    return [one.tenant, heard_text(one.text), one.parameters, replace(voice, transcript=transcript)]


@given(SAYINGS, SAYINGS, st.booleans())
@example(saying("caf\u00e9  au lait "), saying("cafe\u0301\nau lait"), False)  # noqa: FBT003 - the third argument
@example(saying(pitch_semitones=-0.0), saying(pitch_semitones=0.0), False)  # noqa: FBT003
@example(saying(tenant="\ud83d\ude00"), saying(tenant="\U0001f600"), False)  # noqa: FBT003
def test_sayings_share_a_key_if_and_only_if_they_sound_equal(one: Saying, other: Saying, transcripts: bool) -> None:  # noqa: FBT001
    keys = ResultKeys(replace(DESCRIPTOR, uses_transcript=transcripts))
    assert (keys(one) == keys(other)) == (
        _heard(one, transcripts=transcripts) == _heard(other, transcripts=transcripts)
    )


@given(SAYINGS, PARAMETERS)
def test_the_same_said_otherwise_has_another_key(one: Saying, parameters: SpeechParameters) -> None:
    assert (KEYS(one) == KEYS(replace(one, parameters=parameters))) == (one.parameters == parameters)


def test_parts_cannot_run_into_each_other() -> None:
    one, other = replace(DESCRIPTOR, model_id="ab", revision="c"), replace(DESCRIPTOR, model_id="a", revision="bc")
    assert ResultKeys(one)(saying()) != ResultKeys(other)(saying())
    assert KEYS(saying(emotion="ab", language="c")) != KEYS(saying(emotion="a", language="bc"))


@given(SPEEDS, SPEEDS, st.integers(1, 50))
def test_speeds_that_differ_by_more_than_the_tolerance_share_no_key(one: float, other: float, percent: int) -> None:
    keys = ResultKeys(DESCRIPTOR, speed_tolerance_percent=percent)
    if max(one, other) / min(one, other) > (1 + percent / 100) * 1.000001:
        assert keys(saying(speed=one)) != keys(saying(speed=other))


@given(st.integers(1, 50), st.floats(-0.49, 0.49))
def test_speeds_around_the_normal_one_are_normal(percent: int, share: float) -> None:
    keys = ResultKeys(DESCRIPTOR, speed_tolerance_percent=percent)
    assert keys(saying(speed=(1 + percent / 100) ** share)) == keys(saying(speed=1.0))


def test_a_tolerance_for_speeds_is_none_for_emotions() -> None:
    keys = ResultKeys(DESCRIPTOR, speed_tolerance_percent=10)
    assert keys(saying(emotion="happy")) != keys(saying())
    assert keys(saying(speed=1.02)) == keys(saying())


def test_a_tolerance_never_leads_to_what_was_said_without_one() -> None:
    assert ResultKeys(DESCRIPTOR, speed_tolerance_percent=10)(saying()) != KEYS(saying())


def test_with_a_secret_nobody_else_can_make_the_key() -> None:
    keys = {ResultKeys(DESCRIPTOR, secret=secret)(saying()) for secret in (b"", b"one", b"two")}
    assert len(keys) == 3


def test_an_integer_speed_is_the_speed() -> None:
    assert KEYS(saying(speed=1)) == KEYS(saying(speed=1.0))
