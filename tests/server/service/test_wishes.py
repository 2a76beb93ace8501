"""What an engine can do, and what is left for the stretch."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.domain.speech import SpeechParameters
from timbre_server.engine.stub import StubEngine
from timbre_server.errors import InvalidValue, RequestRejected, UnsupportedEmotion, UnsupportedLanguage
from timbre_server.service.wishes import FASTEST, SLOWEST, plan

ENGINE = StubEngine().descriptor  # speed 0.5 to 2, pitch -12 to 12, English, neutral happy sad


@given(st.floats(SLOWEST, FASTEST))
def test_the_engine_and_the_stretch_share_the_speed_out(speed: float) -> None:
    agreed = plan(SpeechParameters(speed=speed), ENGINE)
    assert ENGINE.speed_range[0] <= agreed.parameters.speed <= ENGINE.speed_range[1]
    assert agreed.parameters.speed * agreed.tempo == pytest.approx(speed)


@given(st.floats(*ENGINE.speed_range))
def test_within_the_engines_range_nothing_is_stretched(speed: float) -> None:
    assert plan(SpeechParameters(speed=speed), ENGINE).tempo == 1.0


@pytest.mark.parametrize("tag", ["en", "EN", "en-US", "en-Latn-GB"])
def test_regions_and_scripts_of_a_known_language_are_accepted(tag: str) -> None:
    assert plan(SpeechParameters(language=tag), ENGINE).parameters.language == "en"


def test_no_language_leaves_it_to_the_engine() -> None:
    assert plan(SpeechParameters(), ENGINE).parameters.language == ""


@pytest.mark.parametrize(
    ("wishes", "error", "param", "allowed"),
    [
        (SpeechParameters(speed=0.24), InvalidValue, "speed", "0.25 to 4"),
        (SpeechParameters(speed=4.01), InvalidValue, "speed", "0.25 to 4"),
        (SpeechParameters(speed=float("nan")), InvalidValue, "speed", "0.25 to 4"),
        (SpeechParameters(pitch_semitones=-12.5), InvalidValue, "pitch", "-12 to 12"),
        (SpeechParameters(emotion="angry"), UnsupportedEmotion, "emotion", "neutral, happy, sad"),
        (SpeechParameters(language="de"), UnsupportedLanguage, "language", "en"),
        (SpeechParameters(language="english"), UnsupportedLanguage, "language", "en"),
    ],
)
def test_what_the_engine_cannot_do_is_refused_with_what_it_can(
    wishes: SpeechParameters, error: type[RequestRejected], param: str, allowed: str
) -> None:
    with pytest.raises(error, match=allowed) as caught:
        plan(wishes, ENGINE)
    assert caught.value.param == param
