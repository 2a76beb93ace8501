"""Can the base voice read this writing? Unicode letters are folded to those that it reads, or refused by name."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

from timbre_server.errors import UnsupportedLanguage

LANGUAGES: Final = ("en",)

_READ_AS_THEY_ARE: Final = frozenset(
    "ÀÁÂÃÄÅÆÇÉÊÌÍÎÏÑÒÓÔÕÖØÚÜÞßàáâãäåæçèéêëìíîïðñòóôõöøùúûüýþÿĀāĂăąĆćČčĎďĐđĒēĕĖėęěĝĞğġģīĭİıķĽľŁłńņňŋŌōŏőŒœŘřŚśŞşŠšţťūŭŮů"
    "ŰųŵźŻżŽžƒșț"
)
"""The accented letters that hibari's network for unknown words was trained on (0.2.1, ``assets/oov.json``)."""
_SCRIPT_NAMES: Final = {"CJK": "Han", "HIRAGANA": "Kana", "KATAKANA": "Kana", "KATAKANA-HIRAGANA": "Kana"}
_LATIN_LETTER: Final = re.compile(r"(?:SMALL|CAPITAL) (?:LETTER )?(?:[A-Z]+ )?([A-Z]{1,2})\b")
_GREEK_LETTER: Final = re.compile(r"GREEK (?:SMALL|CAPITAL) LETTER (?:FINAL )?([A-Z]+)$")
_GREEK_WORD: Final = re.compile(r"[\u0370-\u03ff\u1f00-\u1fff]{2,}")
_MICRO_UNIT: Final = re.compile(r"[\u00b5\u03bc](?=[A-Za-z])")


def check_language(language: str) -> None:
    """Raises: UnsupportedLanguage: a language is named, and it is not English."""
    primary = re.split(r"[-_]", language.strip().lower(), maxsplit=1)[0]
    if primary and primary not in LANGUAGES:
        raise UnsupportedLanguage(f"This engine speaks: {', '.join(LANGUAGES)}. Another language was asked for.",
                                  param="language")  # fmt: skip


def readable(text: str) -> str:
    """The text with every letter and digit in a form that the base voice reads; other signs stay.

    Raises:
        UnsupportedLanguage: it has letters of another script than Latin (single Greek letters are spelled out).
    """
    if text.isascii():
        return text
    text = unicodedata.normalize("NFC", text)
    text = _MICRO_UNIT.sub("\u00b5", text)
    table = {ord(sign): _folded(sign) for sign in set(text) if not sign.isascii()}
    if _GREEK_WORD.search(text):
        raise _unsupported("Greek")
    return text.translate(table)


def _folded(sign: str) -> str:
    category = unicodedata.category(sign)
    if category[0] == "M" or category in {"Cf", "Cs"}:
        return ""  # accents that belong to no letter, invisible marks, halves of characters
    if sign in _READ_AS_THEY_ARE or sign == "\u00b5" or category[0] not in "LN":
        return sign
    if sign.isdigit():
        return str(
            unicodedata.digit(sign)
        )  # raised ones too: hibari takes them for digits and fails to count with them
    if category[0] == "N":
        return unicodedata.normalize("NFKC", sign) if category == "Nl" else sign
    return _folded_letter(sign)


def _folded_letter(sign: str) -> str:
    """ASCII for Latin letters, a word for a Greek one."""
    parts = unicodedata.normalize("NFKD", sign)
    return "".join(part if part.isascii() else _named(part) for part in parts if part.isascii() or part.isalpha())


def _named(letter: str) -> str:
    """What the Unicode name of a letter says of it."""
    name = unicodedata.name(letter, "UNKNOWN")
    if greek := _GREEK_LETTER.search(name):
        return f" {greek[1].lower()} "
    if name.startswith("LATIN"):
        latin = _LATIN_LETTER.search(name)
        return latin[1].lower() if latin else ""
    if name.startswith("MODIFIER"):
        return ""  # apostrophes and tone marks of transcriptions
    first = name.split()[0]
    raise _unsupported(_SCRIPT_NAMES.get(first, first.title()))


def _unsupported(script: str) -> UnsupportedLanguage:
    return UnsupportedLanguage(
        f"The input has letters of the {script} script; this engine speaks: {', '.join(LANGUAGES)}.", param="input"
    )
