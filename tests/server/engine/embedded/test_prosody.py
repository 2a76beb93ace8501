from __future__ import annotations

import pytest

from timbre_server.domain.speech import SpeechParameters
from timbre_server.engine.embedded.prosody import EMOTIONS, KEYWORDS, Prosody, prosody_of


def test_plain_parameters_change_nothing() -> None:
    assert prosody_of(SpeechParameters(), "Hello.") == Prosody()


def test_wishes_add_to_the_emotion() -> None:
    wished = prosody_of(SpeechParameters(speed=1.5, emotion="sad", pitch_semitones=3), "Hello.")
    assert wished.speed == pytest.approx(1.5 * EMOTIONS["sad"].speed)
    assert wished.semitones == pytest.approx(3 + EMOTIONS["sad"].semitones)


@pytest.mark.parametrize(
    ("instructions", "emotion"),
    [
        ("Speak in a cheerful and positive tone.", "happy"),
        ("CALM, please", "calm"),
        ("first angry, then sad", "angry"),
        ("like a pirate", "neutral"),
        ("unhappy", "neutral"),
        ("", "neutral"),
    ],
)
def test_the_first_known_word_of_the_instructions_sets_the_emotion(instructions: str, emotion: str) -> None:
    assert prosody_of(SpeechParameters(instructions=instructions), "Hello.") == EMOTIONS[emotion]


def test_an_explicit_emotion_wins_over_instructions() -> None:
    assert prosody_of(SpeechParameters(emotion="sad", instructions="cheerful"), "Hello.") == EMOTIONS["sad"]


def test_every_keyword_names_an_emotion() -> None:
    assert set(KEYWORDS.values()) <= set(EMOTIONS) - {"neutral"}


def test_seeds_give_takes_that_differ_a_little_and_repeat() -> None:
    takes = [prosody_of(SpeechParameters(seed=seed), "Hello.") for seed in range(1, 20)]
    assert len(set(takes)) == len(takes)
    assert takes == [prosody_of(SpeechParameters(seed=seed), "Hello.") for seed in range(1, 20)]
    assert all(abs(take.semitones) <= 0.4 and 0.97 <= take.speed <= 1.03 for take in takes)


def test_a_seed_varies_each_text_on_its_own() -> None:
    one, other = (prosody_of(SpeechParameters(seed=-7), text) for text in ("Hello.", "Goodbye \ud800."))
    assert one != other
