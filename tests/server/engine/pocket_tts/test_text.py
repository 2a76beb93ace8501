"""Which stretches are spoken in one go?"""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.engine.pocket_tts.text import split
from timbre_server.engine.sentences import MAX_CHARACTERS
from timbre_server.errors import UnspeakableText, UnsupportedLanguage

LONG = "It is easy to tell the depth of a well."


def test_each_sentence_is_a_job() -> None:
    assert split(f"{LONG} {LONG}", "", ["en"]) == [LONG, LONG]


def test_a_short_sentence_goes_with_the_next() -> None:
    assert split(f"Well. {LONG} {LONG}", "", ["en"]) == [f"Well. {LONG}", LONG]


def test_a_short_last_sentence_goes_with_the_one_before() -> None:
    assert split(f"{LONG} Is it?", "", ["en"]) == [f"{LONG} Is it?"]


def test_a_short_text_stays_alone() -> None:
    assert split("Yes.", "", ["en"]) == ["Yes."]


def test_a_short_sentence_that_fits_nowhere_stays_alone() -> None:
    full = "x" * (MAX_CHARACTERS - 3) + "."
    assert split(f"{full} Oh no.", "", ["en"]) == [full, "Oh no."]
    assert split(f"Oh no. {full}", "", ["en"]) == ["Oh no.", full]


@given(st.lists(st.text("abc .!?", min_size=1, max_size=300), min_size=1, max_size=4).map(" ".join))
def test_no_word_is_lost_and_no_job_is_long(text: str) -> None:
    if not any(letter.isalnum() for letter in text):
        with pytest.raises(UnspeakableText):
            split(text, "", ["en"])
        return
    jobs = split(text, "", ["en"])

    assert "".join("".join(jobs).split()) == "".join(text.split())
    assert all(0 < len(job) <= MAX_CHARACTERS for job in jobs)


def test_the_languages_are_those_of_the_checkpoint() -> None:
    assert split("Bonjour tout le monde.", "fr-CA", ["fr"])
    with pytest.raises(UnsupportedLanguage) as refused:
        split("Hello there.", "en", ["fr", "de"])
    assert "fr, de" in refused.value.message
