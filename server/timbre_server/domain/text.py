"""What of a text is heard?  Two texts that differ only in what nobody can hear are one text to the engine and to the caches."""

from __future__ import annotations

import re
import unicodedata
from typing import Final

_BREAK: Final = "\n\n"
"""A line that has ended.  Two, because one line end before a small letter is how long lines are wrapped."""

_BLANKS: Final = re.compile(r"\s+")


def heard_text(text: str) -> str:
    """The text in NFC, with one blank where there is white space, and a break where a line or paragraph has ended.

    A single line end before a small letter is a wrapped line, and a blank like any other.  Accents that stand on no letter
    are left out.  The result is a fixed point.
    """
    text = text if text.isascii() else _without_lone_accents(unicodedata.normalize("NFC", text))
    if "\n" not in text:
        return " ".join(text.split())
    return _BLANKS.sub(_folded, text.strip())


def _folded(blanks: re.Match[str]) -> str:
    line_ends = blanks[0].count("\n")
    wrapped = line_ends == 1 and blanks.string[blanks.end()].islower()
    return _BREAK if line_ends and not wrapped else " "


def _without_lone_accents(text: str) -> str:
    if not any(map(unicodedata.combining, text)):
        return text
    kept: list[str] = []
    for character in text:
        if not unicodedata.combining(character) or (kept and not kept[-1].isspace()):
            kept.append(character)
    return "".join(kept)
