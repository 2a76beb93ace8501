"""Which English texts say the same words, though they are written otherwise?

Careful rather than clever: two texts become one only if nobody would read other words, in any engine.  What is left out is
how a text is set (a capital at the beginning, commas, quotation marks, a full stop or an exclamation mark); what stays apart
is whatever may be read in two ways.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

LANGUAGE: Final = "en"


def _row(words: str) -> list[str]:
    return words.split()


def _listed(words: str) -> frozenset[str]:
    return frozenset(_row(words))


CAPITONYMS: Final = _listed(
    "alameda alar ankara ares august canton celt concord dene emporia hidalgo herb job jubilate kasha kurgan leghorn lima"
    " louvre male magi mobile moline nancy natal nice ok orange os polish ponce portage rainier ravel reading recollect reno"
    " rom rukh said scone secession shanghai sol tangier testudines trier vasa worms xenia"
)
"""Words that are others with a capital: those to which hibari's lexicon (0.2.1) gives two sounds, and others that are known."""

ABBREVIATIONS: Final = _listed(
    "mr mrs ms dr prof st mt ft gen gov sen rep capt cmdr lt col sgt cpl rev hon pres supt maj adm fr msgr atty jr sr vs etc cf"
    " al approx no nos vol fig ch pp ed eds inc ltd co corp bros dept univ assn govt est ave blvd rd ln hwy pkwy ste apt bldg"
    " jan feb mar apr jun jul aug sep sept oct nov dec mon tue tues wed thu thurs fri sat sun in oz lb lbs gal min max tel ext"
    " ca esp misc ref sec art arch cap cat cal"
)
"""Words that may be others with a full stop behind them: "no. 5" is a number, "wed." a day."""

ONES: Final = _row(
    "one two three four five six seven eight nine ten eleven twelve thirteen fourteen fifteen sixteen seventeen eighteen"
    " nineteen"
)
TENS: Final = _row("twenty thirty forty fifty sixty seventy eighty ninety")

_MONTHS: Final = _listed(
    "january february march april may june july august september october november december jan feb mar apr jun jul aug sep"
    " sept oct nov dec"
)
_UNITS: Final = _listed(
    "lbs mph kph hrs min mins sec secs fps mcg pct gal qts pts tsp tbsp deg rpm bpm psi ppm dpi yds"
)
"""Short for other words behind a number; shorter ones are left alone anyway."""
_PARTS_OF_NUMBERS: Final = frozenset([*ONES, *TENS]) | _listed(
    "zero oh point half halves quarter quarters third thirds hundred thousand million billion trillion dozen plus minus times"
    " squared cubed percent"
)
_BEFORE_NO_NUMBER: Final = (_MONTHS | _PARTS_OF_NUMBERS | ABBREVIATIONS) - {"in"}
_BEHIND_NO_NUMBER: Final = _BEFORE_NO_NUMBER | _UNITS
_SHORT_BUT_PLAIN: Final = frozenset(["of", "or", "to"])
_PLAIN_LETTERS: Final = 3
"""A shorter word behind a number may be a unit."""

_VOWELS: Final = frozenset("aeiouy")

_NUMERAL: Final = re.compile(r"[1-9]\d?")
_PLAIN: Final = re.compile(r"[a-z]+")
_MARKS_BEFORE: Final = '"\u201c\u201d\u201e\u00ab\u00bb(['
_MARKS_BEHIND: Final = ',;:.!?\u2026"\u201c\u201d\u00bb\u00ab)]'
_ENDS: Final = frozenset(".!\u2026")
_STOP: Final = "."
_QUESTION: Final = "?"
_COMMA: Final = ","


class EnglishWords:
    """``Likeness`` by the words of English texts; texts of other languages are like none."""

    def __init__(self, languages: Sequence[str]) -> None:
        """``languages`` are the engine's: what it takes a text for that names none."""
        self._only_english = tuple(languages) == (LANGUAGE,)

    def __call__(self, text: str, language: str) -> str:
        if language == LANGUAGE or (not language and self._only_english):
            return said_words(text)
        return ""


class _Word(NamedTuple):
    text: str
    """As it counts, but for numerals."""
    mark: str
    """``.`` or ``?`` if a sentence ends behind it, ``,`` for any other mark, or nothing."""


def said_words(text: str) -> str:
    """The words of a text, a mark between sentences, and one behind each question; a fixed point.

    Other marks stay where they keep a number apart: "May, 5 people" is no date.
    """
    words = list(_words(text))
    spoken = [
        _numeral(words, place) if _NUMERAL.fullmatch(word.text) else word.text for place, word in enumerate(words)
    ]
    parts: list[str] = []
    for place, word in enumerate(words):
        parts.append(spoken[place])
        if _counts(word.mark, spoken[place], spoken[place + 1] if place + 1 < len(words) else ""):
            parts.append(word.mark)
    return " ".join(parts)


def _counts(mark: str, word: str, behind: str) -> bool:
    if mark == _COMMA:
        return word[-1].isdigit() or behind[:1].isdigit()
    return mark == _QUESTION or (mark == _STOP and behind != "")


def _words(text: str) -> Iterator[_Word]:
    for line in text.splitlines():
        words = [_word(token) for token in line.split()]
        yield from words[:-1]
        if words:
            yield words[-1]._replace(mark=_QUESTION if words[-1].mark == _QUESTION else _STOP)


def _word(token: str) -> _Word:
    begun = token.lstrip(_MARKS_BEFORE)
    core = begun.rstrip(_MARKS_BEHIND)
    before, behind = token[: len(token) - len(begun)], begun[len(core) :]
    core = core.replace("\u2019", "'")
    if _is_to_stay(core, before, behind):
        return _Word(token, "")
    if _QUESTION in behind:
        return _Word(_uncapitalised(core), _QUESTION)
    return _Word(_uncapitalised(core), _STOP if _ENDS & set(behind) else behind and _COMMA)


def _is_to_stay(core: str, before: str, behind: str) -> bool:
    """Whether the marks around a word may be a part of it, or it is none."""
    if not any(map(str.isalnum, core)):
        return True
    if not before and not behind:
        return False
    if "." in behind and ("." in core or core.lower() in ABBREVIATIONS):
        return True
    if core[-1].isdigit():  # 5" are inches, 3: begins a time or a list
        return before != "" or behind.strip(",.!?") != ""
    return len(core) == 1 and core != "I"


def _uncapitalised(word: str) -> str:
    if word == "i":
        return "I"
    small = word[:1].lower() + word[1:]
    if small == word or not small[1:].islower() or len(small) != len(word):
        return word  # more capitals than one, or none
    # Without a vowel it is short for something: Hz, Mr, Ft.
    return word if small in CAPITONYMS | _MONTHS or not _VOWELS & set(small) else small


def _numeral(words: Sequence[_Word], place: int) -> str:
    """In letters, unless what stands around it may make another word of it."""
    word = words[place]
    before = words[place - 1] if place else None
    behind = words[place + 1] if place + 1 < len(words) and word.mark in {"", _COMMA} else None
    plain = _may_follow(before) and _may_precede(behind)
    counts_items = word.mark == _STOP and (before is None or before.mark == _STOP)  # "1. Milk"
    return in_letters(int(word.text)) if plain and not counts_items else word.text


def _may_follow(before: _Word | None) -> bool:
    if before is None:
        return True
    if before.text.lower() in _BEFORE_NO_NUMBER:  # a sentence between them or not: hibari reads "May. 5" as a date
        return False
    return before.mark in {_STOP, _QUESTION} or _PLAIN.fullmatch(before.text) is not None


def _may_precede(behind: _Word | None) -> bool:
    if behind is None:
        return True
    word = behind.text
    if _PLAIN.fullmatch(word) is None or word in _BEHIND_NO_NUMBER:
        return False
    return len(word) >= _PLAIN_LETTERS or word in _SHORT_BUT_PLAIN


def in_letters(number: int) -> str:
    """A number from 1 to 99 as it is written out."""
    if number <= len(ONES):
        return ONES[number - 1]
    tens, ones = divmod(number, 10)
    return f"{TENS[tens - 2]}-{ONES[ones - 1]}" if ones else TENS[tens - 2]
