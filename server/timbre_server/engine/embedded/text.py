"""Where may a text be cut? Into sentences, long ones at clauses, so that speech starts early and no item is large.

Cheap on purpose: no pronunciation is looked up here.  The engine cuts again where the phonemes of an item turn out
many (``acoustic.bounded``).
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from timbre_server.engine.embedded import script
from timbre_server.errors import UnspeakableText

MAX_CHARACTERS: Final = 200
"""Of one item: about 14 s of speech, a longer sentence than people say in one breath."""
MAX_FIRST_CHARACTERS: Final = 90
"""Of the first item: about 6 s of speech, which the model needs 30 ms for, so that first audio is early."""
_FIRST_CLAUSE_CHARACTERS: Final = 60
"""A first sentence longer than this is cut at a clause mark where it has one."""
_LEAST_CHARACTERS: Final = 16
"""A cut that leaves a shorter item sounds chopped."""

_MAX_LETTERS: Final = 24
"""What hibari's network for unknown words takes in at once; a longer word would lose its end."""
_MAX_DIGITS: Final = 15
"""Longer numbers (cards, keys) are said digit by digit; hibari has no name for numbers from 37 digits on."""
_MAX_TOKEN: Final = 60
"""Characters without a space: the text stage's time grows with their square."""

_ABBREVIATIONS: Final = frozenset(
    [
        "mr",
        "mrs",
        "ms",
        "dr",
        "prof",
        "st",
        "mt",
        "ft",
        "gen",
        "gov",
        "sen",
        "rep",
        "capt",
        "lt",
        "col",
        "sgt",
        "rev",
        "hon",
        "pres",
        "maj",
        "adm",
        "fr",
        "jr",
        "sr",
        "vs",
        "etc",
        "e.g",
        "i.e",
        "cf",
        "al",
        "approx",
        "no",
        "nos",
        "vol",
        "fig",
        "ch",
        "pp",
        "ed",
        "eds",
        "inc",
        "ltd",
        "co",
        "corp",
        "dept",
        "est",
    ]
)
_BLANKS: Final = re.compile(r"\s+")
_SENTENCE_END: Final = re.compile(r"[.!?…]+[\"'”\u2019)\]]*\s+")
_CLAUSE_END: Final = re.compile(r"(?:[,;:—)]|\s[-\u2013])[\"'”\u2019]*\s+")
_JOINING_WORD: Final = re.compile(
    r"\s+(?=(?:and|or|but|because|which|who|that|when|while|where|if|as|so|than|with|from|for|in|on|at|by|to|of|into)\s)",
    re.IGNORECASE,
)
_LONG_WORD: Final = re.compile(rf"[^\W\d_]{{{_MAX_LETTERS + 1},}}")
_LONG_NUMBER: Final = re.compile(rf"(\d*\.)?(\d(?:,?\d){{{_MAX_DIGITS},}})")
_LONG_TOKEN: Final = re.compile(rf"\S{{{_MAX_TOKEN + 1},}}")
_SAYS_SOMETHING: Final = re.compile(r"[^\W_]")


def split(text: str, language: str = "") -> list[str]:
    """The text as items in order, each of at most ``MAX_CHARACTERS``, the first of ``MAX_FIRST_CHARACTERS``.

    What has neither letter nor digit is dropped: a pause stands behind every item anyway.

    Raises:
        UnsupportedLanguage: a language other than English is asked for, or another script than Latin is used.
        UnspeakableText: it has no letter and no digit.
    """
    script.check_language(language)
    readable = script.readable(text)
    if not _SAYS_SOMETHING.search(readable):
        raise UnspeakableText("The input has no letter and no digit to pronounce.", param="input")
    items: list[str] = []
    for sentence in _sentences(_bounded_tokens(readable)):
        if items:
            items.extend(_cut(sentence, MAX_CHARACTERS))
        else:
            first, rest = _first_cut(sentence)
            items.append(first)
            items.extend(_cut(rest, MAX_CHARACTERS))
    return [item for item in items if _SAYS_SOMETHING.search(item)]


def _bounded_tokens(text: str) -> str:
    """The text with a space inside whatever is too long to be read in one go."""
    text = text.replace("\0", " ").replace("](", "] (")  # hibari would take what follows for phonemes or a link
    if not _LONG_WORD.search(text) and not _LONG_NUMBER.search(text) and not _LONG_TOKEN.search(text):
        return text
    text = _LONG_WORD.sub(lambda match: _spaced(match[0], _MAX_LETTERS), text)
    text = _LONG_NUMBER.sub(_said_by_digits, text)
    return _LONG_TOKEN.sub(lambda match: _spaced(match[0], _MAX_TOKEN), text)


def _spaced(word: str, longest: int) -> str:
    """The word in even parts of at most ``longest`` characters."""
    parts = -(-len(word) // longest)
    size = -(-len(word) // parts)
    return " ".join(word[start : start + size] for start in range(0, len(word), size))


def _said_by_digits(number: re.Match[str]) -> str:
    whole, digits = number[1] or "", number[2]
    if whole and len(number[0]) <= _MAX_TOKEN:
        return number[0]  # decimals are said digit by digit anyway
    spaced = " ".join(digits.replace(",", ""))
    return f" {whole[:-1]} point {spaced} " if whole else f" {spaced} "


def _sentences(text: str) -> Iterator[str]:
    for line in _BLANKS.sub(_single_blank, text).strip().split("\n"):
        start = 0
        for end in _SENTENCE_END.finditer(line):
            if _ends_sentence(line, end):
                yield line[start : end.end()].rstrip()
                start = end.end()
        yield line[start:]


def _single_blank(blanks: re.Match[str]) -> str:
    """A line end where a paragraph or list item ends, a space amid a sentence, however it was wrapped."""
    wrapped = blanks[0].count("\n") == 1 and blanks.string[blanks.end() : blanks.end() + 1].islower()
    return "\n" if "\n" in blanks[0] and not wrapped else " "


def _ends_sentence(line: str, end: re.Match[str]) -> bool:
    """False behind an abbreviation or initial, and where the next word is not capital."""
    if line[end.end() : end.end() + 1].islower():
        return False
    if not end[0].startswith(". "):
        return True
    word = line[line.rfind(" ", 0, end.start()) + 1 : end.start()].lstrip("(\"“'\u2018[")
    return word.lower() not in _ABBREVIATIONS and not (len(word) == 1 and word.isupper() and word != "I")


def _first_cut(sentence: str) -> tuple[str, str]:
    """An early first item and the rest."""
    if len(sentence) <= _FIRST_CLAUSE_CHARACTERS:
        return sentence, ""
    clauses = [mark.end() for mark in _CLAUSE_END.finditer(sentence, _LEAST_CHARACTERS, MAX_FIRST_CHARACTERS)]
    if clauses:
        return sentence[: clauses[-1]].rstrip(), sentence[clauses[-1] :]
    if len(sentence) <= MAX_FIRST_CHARACTERS:
        return sentence, ""
    place = _cut_place(sentence, MAX_FIRST_CHARACTERS)
    return sentence[:place].rstrip(), sentence[place:].lstrip()


def _cut(sentence: str, longest: int) -> Iterator[str]:
    """The sentence in items of at most ``longest`` characters."""
    rest = sentence
    while len(rest) > longest:
        place = _cut_place(rest, longest)
        yield rest[:place].rstrip()
        rest = rest[place:].lstrip()
    if rest:
        yield rest


def _cut_place(sentence: str, longest: int) -> int:
    """The best place for a cut: behind a clause, before a joining word, at a space; tokens are never longer."""
    for mark in (_CLAUSE_END, _JOINING_WORD):
        places = [match.end() for match in mark.finditer(sentence, longest // 3, longest)]
        if places:
            return places[-1]
    space = sentence.rfind(" ", 1, longest)
    return space if space > 0 else longest
