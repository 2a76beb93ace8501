"""How is a text cut into jobs, and which texts are refused?  For engines that read plain text in Latin letters."""

from __future__ import annotations

import re
from collections.abc import Sequence

from timbre_server.errors import UnspeakableText, UnsupportedLanguage

MAX_CHARACTERS = 200
"""No job is longer: 12 s of speech, about what models were trained on in one piece."""

_END_OF_SENTENCE = re.compile(r"(?<=[.!?…])\s+(?=\S*[^\W_])")
"""Followed by a word, so that no job is silent."""
_CUT = re.compile(rf"\S.{{0,{MAX_CHARACTERS - 1}}}(?=\s|$)|\S{{{MAX_CHARACTERS}}}", re.DOTALL)
"""As many whole words as fit, or a piece of a word that fits in no job."""


def check_speakable(text: str, language: str, languages: Sequence[str]) -> None:
    """Passes what the engine can speak.

    Raises:
        UnspeakableText: no letter and no digit.
        UnsupportedLanguage: the language asked for, or the script of a letter, is none of the engine's.
    """
    spoken = ", ".join(languages)
    if language and language.lower().partition("-")[0] not in languages:
        raise UnsupportedLanguage(f"this engine speaks: {spoken}", param="language")
    if not text.isascii() and any(_is_foreign(letter) for letter in text):
        raise UnsupportedLanguage(
            f"the input has letters of another script; this engine speaks: {spoken}", param="input"
        )
    if not any(character.isalnum() for character in text):
        raise UnspeakableText("the input has no letter and no digit", param="input")


def sentences(text: str) -> Sequence[str]:
    """The sentences of a text in order, the long ones cut between words."""
    return [part for sentence in _END_OF_SENTENCE.split(text.strip()) for part in _parts(sentence)]


def _parts(sentence: str) -> Sequence[str]:
    return [sentence] if len(sentence) <= MAX_CHARACTERS else [part.strip() for part in _CUT.findall(sentence)]


def _is_foreign(character: str) -> bool:
    """Whether it is a letter outside Unicode's Latin blocks (up to U+02FF and U+1E00 to U+1EFF)."""
    return character.isalpha() and not (character <= "\u02ff" or "\u1e00" <= character <= "\u1eff")
