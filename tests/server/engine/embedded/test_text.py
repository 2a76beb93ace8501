from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.engine.embedded import text
from timbre_server.errors import UnspeakableText, UnsupportedLanguage

READABLE = st.text(st.sampled_from("abcXYZ .,;:!?-\n\t'\"()[]/\\@#$%&*éß019…—"), max_size=600)


def letters_of(said: str) -> str:
    return "".join(sign for sign in said if sign.isalnum())


@given(READABLE)
def test_nothing_that_can_be_said_is_lost_or_moved(said: str) -> None:
    if not letters_of(said):
        with pytest.raises(UnspeakableText):
            text.split(said)
        return
    assert letters_of("".join(text.split(said))) == letters_of(said)


@given(READABLE.filter(letters_of))
def test_every_item_is_bounded_and_says_something(said: str) -> None:
    items = text.split(said)
    assert all(0 < len(item) <= text.MAX_CHARACTERS and letters_of(item) for item in items)
    assert len(items[0]) <= text.MAX_FIRST_CHARACTERS


@given(READABLE.filter(letters_of))
def test_splitting_an_item_again_only_cuts_further(said: str) -> None:
    items = text.split(said)
    again = [part for item in items for part in text.split(item)]
    assert letters_of("".join(again)) == letters_of("".join(items))


@pytest.mark.parametrize(
    ("said", "items"),
    [
        ("Hello. How are you? Fine!", ["Hello.", "How are you?", "Fine!"]),
        ("Dr. Smith met J. K. Rowling at 5 p.m. in London.", ["Dr. Smith met J. K. Rowling at 5 p.m. in London."]),
        ("He paid $3.50, e.g. in cash.", ["He paid $3.50, e.g. in cash."]),
        ('"Stop!" he said. "Why?"', ['"Stop!" he said.', '"Why?"']),
        ("First line\nSecond line", ["First line", "Second line"]),
        ("a sentence that was\nwrapped by hand", ["a sentence that was wrapped by hand"]),
        ("One.\n\n\n*** \n\nTwo.", ["One.", "Two."]),
    ],
)
def test_sentences_end_where_people_would_end_them(said: str, items: list[str]) -> None:
    assert text.split(said) == items


def test_a_long_first_sentence_starts_with_a_clause() -> None:
    items = text.split("When the long winter was over, the people of the valley came out of their houses and danced.")
    assert items[0] == "When the long winter was over,"


def test_a_sentence_without_marks_is_cut_before_a_joining_word() -> None:
    items = text.split(
        "Nobody at the large table knew the exact reason for the sudden change of the plans that the king had made"
    )
    assert items[0].endswith("plans")
    assert items[1].startswith("that")


@pytest.mark.parametrize(
    "said", ["word " * 5000, "a" * 10_000, "7" * 10_000, "1," * 5000, ". " * 3000 + "x", "[" * 9000 + "x"]
)
def test_hostile_texts_stay_bounded(said: str) -> None:
    items = text.split(said)
    assert max(map(len, items)) <= text.MAX_CHARACTERS
    assert max(len(word) for item in items for word in item.split()) <= 60


def test_a_long_number_is_said_digit_by_digit() -> None:
    assert text.split("4111111111111111") == ["4 1 1 1 1 1 1 1 1 1 1 1 1 1 1 1"]


def test_a_number_with_a_name_stays_whole() -> None:
    assert text.split("1,250,000 people") == ["1,250,000 people"]


def test_long_decimals_keep_their_point() -> None:
    said = "3." + "1" * 100
    assert text.split(said)[0].startswith("3 point 1 1 1")


def test_a_link_cannot_smuggle_phonemes_in() -> None:
    assert "](" not in text.split("[hello](/hEllo/)")[0]


@pytest.mark.parametrize("said", ["", "   \n\t", "...!?", "🎉🎉", "—", "___", "\u200b"])
def test_text_that_says_nothing_is_refused(said: str) -> None:
    with pytest.raises(UnspeakableText):
        text.split(said)


@pytest.mark.parametrize("language", ["en", "EN", "en-US", "en_GB", ""])
def test_english_is_spoken(language: str) -> None:
    assert text.split("Hello.", language) == ["Hello."]


@pytest.mark.parametrize("language", ["zh", "de", "de-DE", "english", "e"])
def test_another_language_is_refused_and_ours_are_named(language: str) -> None:
    with pytest.raises(UnsupportedLanguage, match="speaks: en"):
        text.split("Hello.", language)
