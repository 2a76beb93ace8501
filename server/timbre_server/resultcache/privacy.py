"""Which texts are so private that their speech is neither kept nor looked for?"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from timbre_server.errors import ConfigurationError

DEFAULT_PATTERNS: Final = (
    # Seven digits or more, however they are set apart: telephone numbers (E.164 allows 15, and national ones have seven at
    # least), card numbers (13 to 19, ISO/IEC 7812) and most numbers that stand for a person.
    r"\d(?:[\s().\-/\u2010-\u2015\u2212]{0,3}\d){6,}",
    # An IBAN: two letters, two digits and up to 30 signs (ISO 13616).
    r"\b[a-z]{2}\d{2} ?(?:[a-z\d]{4} ?){2,7}[a-z\d]{0,4}\b",
    # What an address for e-mail looks like; a local part has 64 signs at most (RFC 5321, 4.5.3.1.1).
    r"[\w.+\-]{1,64}@[\w\-]{1,63}\.[\w.\-]*\w",
)
"""Of names nobody can make a pattern: who wants them left out writes down those that matter."""


class PrivateTexts:
    """Tells texts in which a pattern is found, whatever the case of letters and in whatever signs they are written."""

    def __init__(self, patterns: Sequence[str] = DEFAULT_PATTERNS) -> None:
        """Raises: re.error: one of them is no regular expression."""
        self._patterns = [re.compile(pattern, re.IGNORECASE) for pattern in patterns]

    def __call__(self, text: str) -> bool:
        return any(pattern.search(spelling) for spelling in _spellings(text) for pattern in self._patterns)

    @classmethod
    def from_file(cls, path: Path) -> PrivateTexts:
        """Those of a file, one in a line; empty lines and such that begin with ``#`` say nothing.

        Raises:
            ConfigurationError: the file cannot be read, or a line is no regular expression.
        """
        try:
            lines = path.read_text("utf-8").splitlines()
        except (OSError, UnicodeDecodeError) as error:
            raise ConfigurationError("TIMBRE_RESULT_CACHE__PRIVATE_PATTERNS_FILE cannot be read as UTF-8") from error
        patterns = []
        for number, line in enumerate(map(str.strip, lines), 1):
            if not line or line.startswith("#"):
                continue
            try:
                re.compile(line)
            except re.error as error:
                message = f"line {number} of TIMBRE_RESULT_CACHE__PRIVATE_PATTERNS_FILE is no regular expression"
                raise ConfigurationError(message) from error
            patterns.append(line)
        return cls(patterns)


def _spellings(text: str) -> Iterator[str]:
    """As it is, and in plain signs: forms of letters and digits that only look otherwise (NFKC), nothing that is not seen.

    Numbers that are copied from an address book come with marks of direction, those of a web page with places for a break.
    """
    yield text
    if not text.isascii():
        seen = "".join(sign for sign in text if unicodedata.category(sign) != "Cf")
        plain = unicodedata.normalize("NFKC", seen)
        if plain != text:
            yield plain
