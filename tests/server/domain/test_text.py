"""Two texts that sound equal are one text, and engines hear of a text what they heard of it before."""

import re
import unicodedata

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.domain.text import heard_text
from timbre_server.engine.embedded import text as embedded
from timbre_server.errors import RequestRejected

BLANKS = st.text(st.sampled_from(" \t\u00a0\u2003\r\u2028"), min_size=1, max_size=3)
WORDS = st.text(st.sampled_from("aZé.!'0\u0301"), min_size=1, max_size=4).filter(lambda word: word[0] != "\u0301")
TEXTS = st.text(st.sampled_from("aB é.\n\t \r\u2028e\u0301"), max_size=12)


@given(st.lists(st.tuples(WORDS, BLANKS, BLANKS), min_size=1))
def test_white_space_between_words_is_one_blank_whatever_it_was(words: list[tuple[str, str, str]]) -> None:
    one, other = ("".join(word + blanks[which] for word, *blanks in words) for which in (0, 1))
    assert heard_text(one) == heard_text(other) == heard_text(f"\n {one} \n")


@given(st.text(st.characters(codec=None), max_size=20))
def test_composed_and_decomposed_are_equal(text: str) -> None:
    composed, decomposed = (unicodedata.normalize(form, text) for form in ("NFC", "NFD"))
    assert heard_text(composed) == heard_text(decomposed)


@given(TEXTS)
def test_what_was_folded_is_folded(text: str) -> None:
    assert heard_text(heard_text(text)) == heard_text(text)


@given(TEXTS)
def test_no_sign_that_can_be_heard_is_lost(text: str) -> None:
    on_letters = re.sub(r"(?<!\S)\u0301+", "", unicodedata.normalize("NFC", text))  # an accent alone is not heard
    assert "".join(heard_text(text).split()) == "".join(on_letters.split())


@pytest.mark.parametrize(
    ("text", "heard"),
    [
        ("a line that\nis wrapped", "a line that is wrapped"),
        ("a line that \r\n  is wrapped", "a line that is wrapped"),
        ("Chapter One\nIt was late.", "Chapter One\n\nIt was late."),
        ("a paragraph\n\nand another", "a paragraph\n\nand another"),
        ("milk\n- bread", "milk\n\n- bread"),
        ("not\u2028a line end", "not a line end"),
        ("an accent\n\u0301 alone", "an accent alone"),
        ("\u0301an accent alone", "an accent alone"),
        ("", ""),
        (" \n ", ""),
    ],
)
def test_a_line_end_counts_where_a_line_ends(text: str, heard: str) -> None:
    assert heard_text(text) == heard


@given(TEXTS)
def test_the_embedded_engine_reads_it_as_it_reads_the_text_itself(text: str) -> None:
    def jobs(said: str) -> list[str] | str:
        try:
            return embedded.split(said)
        except RequestRejected as error:
            return error.code

    assert jobs(heard_text(text)) == jobs(text)
