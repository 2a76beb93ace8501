"""Which stretches of a text does the model speak well in one go?"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from timbre_server.engine.sentences import MAX_CHARACTERS, check_speakable, sentences

_SHORT_WORDS: Final = 4
"""A job of at most so many words sounds chopped: the library treats such a text apart (``short_text_max_words``)."""


def split(text: str, language: str, languages: Sequence[str]) -> list[str]:
    """The text as sentences of at most 200 characters, about the 50 tokens that the model was trained to say at once;
    a very short one goes with its neighbour.

    Raises:
        UnspeakableText: no letter and no digit.
        UnsupportedLanguage: not one of ``languages``, or another script than theirs.
    """
    check_speakable(text, language, languages)
    jobs: list[str] = []
    for sentence in sentences(text):
        if jobs and _is_short(jobs[-1]) and _fits(jobs[-1], sentence):
            jobs[-1] = f"{jobs[-1]} {sentence}"
        else:
            jobs.append(sentence)
    if len(jobs) > 1 and _is_short(jobs[-1]) and _fits(jobs[-2], jobs[-1]):
        last = jobs.pop()
        jobs[-1] = f"{jobs[-1]} {last}"
    return jobs


def _is_short(job: str) -> bool:
    return len(job.split()) <= _SHORT_WORDS


def _fits(one: str, other: str) -> bool:
    return len(one) + 1 + len(other) <= MAX_CHARACTERS
