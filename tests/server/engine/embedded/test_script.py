# ruff: noqa: RUF001 - look-alike letters are what is tested here
from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.engine.embedded.script import readable
from timbre_server.errors import UnsupportedLanguage


@pytest.mark.parametrize(
    ("said", "script"),
    [
        ("Hello 你好 world", "Han"),
        ("こんにちは", "Kana"),
        ("안녕하세요", "Hangul"),
        ("Привет", "Cyrillic"),
        ("مرحبا", "Arabic"),
        ("שלום", "Hebrew"),
        ("สวัสดี", "Thai"),
        ("नमस्ते", "Devanagari"),
        ("Καλημέρα", "Greek"),
    ],
)
def test_another_script_is_refused_by_name(said: str, script: str) -> None:
    with pytest.raises(UnsupportedLanguage, match=f"{script} script; this engine speaks: en"):
        readable(said)


def test_the_refusal_repeats_nothing_of_the_text() -> None:
    with pytest.raises(UnsupportedLanguage) as caught:
        readable("secret word 秘密")
    assert "secret" not in caught.value.message
    assert "秘" not in caught.value.message


@pytest.mark.parametrize(
    ("said", "read"),
    [
        ("plain", "plain"),
        ("naïve café", "naïve café"),
        ("𝐇𝐞𝐥𝐥𝐨 Ｗｏｒｌｄ", "Hello World"),
        ("ﬁne", "fine"),
        ("Nguyễn", "Nguyen"),
        ("ŉ", "n"),
        ("a\u200bb soft\u00adhyphen \ud800", "ab softhyphen "),
        ("٣ apples", "3 apples"),
        ("5 \u03bcm", "5 \u00b5m"),
    ],
)
def test_latin_letters_are_folded_to_those_that_are_read(said: str, read: str) -> None:
    assert readable(said) == read


def test_a_single_greek_letter_is_spelled_out() -> None:
    assert readable("π is 3.14").split() == ["pi", "is", "3.14"]


@given(st.text())
def test_any_text_is_either_readable_or_refused(said: str) -> None:
    try:
        read = readable(said)
    except UnsupportedLanguage:
        return
    read.encode()  # no half characters are left
