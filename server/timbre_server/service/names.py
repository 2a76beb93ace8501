"""What may a voice or a consent be called, and how are their ids made?"""

from __future__ import annotations

import secrets
import unicodedata
from collections.abc import Callable
from typing import Final

from timbre_server.errors import InvalidValue

MAX_NAME_CHARS: Final = 64
"""Fits one line of a list; OpenAI's reference states no bound, so this one is ours."""

VOICE_PREFIX: Final = "voice_"
CONSENT_PREFIX: Final = "cons_"

RandomSource = Callable[[], str]
"""Returns the random part of a new id: hex digits, never twice the same."""


def random_hex() -> str:
    """128 random bits in hex: too many to guess, and two never meet."""
    return secrets.token_hex(16)


def checked_name(name: str) -> str:
    """The name without outer white space.

    Raises:
        InvalidValue: it is empty, too long or holds control characters or halves of characters.
    """
    stripped = name.strip()
    if not 1 <= len(stripped) <= MAX_NAME_CHARS:
        raise InvalidValue(f"`name` must have 1 to {MAX_NAME_CHARS} characters", param="name")
    # Halves of characters: what Python makes of a file's name that is no UTF-8, and no store would take them.
    if any(unicodedata.category(character) in {"Cc", "Cs"} for character in stripped):
        raise InvalidValue("`name` must be text without control characters", param="name")
    return stripped
