"""Texts that say the same words are one, and whatever might be read otherwise stays apart."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.resultcache.english import ABBREVIATIONS, EnglishWords, in_letters, said_words

ENGLISH = EnglishWords(("en",))


@pytest.mark.parametrize(
    "texts",
    [
        ("Hello, world!", "hello world", "Hello world.", "\u201cHello\u201d (world)\u2026"),
        ("Don\u2019t go!", "don't go"),
        ("I have 3 apples.", "I have three apples", "i have 3 apples"),
        ("Add 3, then 21.", "add three then twenty-one"),
        ("It costs 2 of them", "It costs two of them"),
        ("7 days", "Seven days."),
        ("In 10 minutes", "in ten minutes"),
        ("One.\n\nTwo.", "One. Two", "one! two"),
        ("Really?", "really?!"),
        ("So do I.", "So do I"),
    ],
    ids=str,
)
def test_these_are_one(texts: tuple[str, ...]) -> None:
    assert len({said_words(text) for text in texts}) == 1


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("You go.", "You go?"),
        ("I know. No man does.", "I know no man does."),
        ("Polish people", "polish people"),
        ("It is for US", "it is for us"),
        ("WHO says so", "who says so"),
        ("See no. 5", "see no five"),
        ("the answer is no.", "the answer is no"),
        ("May 3", "may three"),
        ("on 3 May", "on three may"),
        ("at 3 pm", "at three pm"),
        ("5 km away", "five km away"),
        ("20 min", "twenty min"),
        ("21 Mbps", "21 mbps"),
        ("3 Ft", "3 ft"),
        ("3.5 times", "3 5 times"),
        ("$3 each", "three each"),
        ("-3 is less", "three is less"),
        ('a 5" disk', "a five disk"),
        ("3 4", "three four"),
        ("twenty 3", "twenty three"),
        ("2 thirds", "two thirds"),
        ("1. Milk", "one milk"),
        ("007", "seven"),
        ("in 1999", "in nineteen ninety-nine"),
        ("plan A", "plan a"),
        ("a) first", "a first"),
        ("well-known", "well known"),
        (":) fine", "fine"),
        ("10% off", "ten off"),
        ("In May, 5 came", "in May 5 came"),
        ("In 1999, 5 came", "in 1999 5 came"),
        ("#1 here", "one here"),
    ],
    ids=str,
)
def test_these_are_not_one(one: str, other: str) -> None:
    assert said_words(one) != said_words(other)


def test_every_number_has_a_name_of_its_own() -> None:
    names = [in_letters(number) for number in range(1, 100)]
    assert len(set(names)) == 99
    assert (names[0], names[11], names[18], names[19], names[98]) == (
        "one",
        "twelve",
        "nineteen",
        "twenty",
        "ninety-nine",
    )


@pytest.mark.parametrize("abbreviation", sorted(ABBREVIATIONS))
def test_the_full_stop_of_an_abbreviation_stays(abbreviation: str) -> None:
    assert said_words(f"see {abbreviation}. then") == f"see {abbreviation}. then"


@given(st.text(st.characters(codec=None)))
def test_any_text_has_words(text: str) -> None:
    said_words(text)


WORDS = st.sampled_from(
    ["Hello", "3", "12,", "no.", "May", '"so"', "I", "a", "km", "apples.", "Why?", "\u2014", "US", "two"]
)


@given(st.lists(WORDS).map(" ".join))
def test_what_a_text_says_says_itself(text: str) -> None:
    assert said_words(said_words(text)) == said_words(text)


def test_only_english_is_known() -> None:
    assert ENGLISH("3 apples", "en") == ENGLISH("three apples", "") != ""
    assert ENGLISH("3 apples", "de") == ""
    assert EnglishWords(("de", "en"))("3 apples", "") == ""
    assert EnglishWords(("de", "en"))("3 apples", "en") != ""
