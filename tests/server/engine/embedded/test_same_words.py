"""Texts that the cache of finished speech takes for one are read alike by the one engine here that tells how it reads."""

from __future__ import annotations

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from timbre_server.engine.embedded.acoustic import AcousticModel, _package_directory
from timbre_server.resultcache.english import ABBREVIATIONS, CAPITONYMS, said_words

UNHEARD = str.maketrans("", "", "\u02c8\u02cc,;:.!?\u2014\u2026 ")
"""Stress and pauses are how words are said, not which."""


@pytest.fixture(scope="module")
def assets() -> Path:
    return _package_directory() / "assets"


def lexicon(assets: Path) -> dict[str, Any]:
    found: dict[str, Any] = {}
    for name in ("silver", "gold"):
        found |= json.loads(gzip.decompress((assets / f"lexicon_us_{name}.json.gz").read_bytes()))
    return found


def read(model: AcousticModel, text: str) -> str:
    return model.pronounce(text).translate(UNHEARD)


def test_every_word_that_sounds_otherwise_with_a_capital_is_known(assets: Path) -> None:
    sounds = lexicon(assets)
    unlike = {
        word.lower()
        for word, sound in sounds.items()
        if word[1:].islower() and word[0].isupper() and word.lower() in sounds and sound != sounds[word.lower()]
    }
    assert {word for word in unlike if said_words(word.title()) == said_words(word)} == set()
    assert unlike & CAPITONYMS


def test_every_abbreviation_of_the_engine_is_known(assets: Path) -> None:
    tables = json.loads((assets / "normalize.json").read_text("utf-8"))
    dotted = {
        word.removesuffix(".").lower() for word in tables["abbreviations"] if word.endswith(".") and " " not in word
    }
    assert dotted | {title.lower() for title in tables["titles"]} <= ABBREVIATIONS


FRAMES = (
    "They saw {} 7 there",
    "They saw 21 {} there",
    "{} 12 is here",
    "Come with 3 {}",
    "{}, 5 apples",
)


@pytest.mark.parametrize("frame", FRAMES)
def test_numbers_are_read_as_they_are_written_out_whatever_stands_beside_them(
    model: AcousticModel, assets: Path, frame: str
) -> None:
    tables = json.loads((assets / "normalize.json").read_text("utf-8"))
    words = {
        *(word for name in ("units", "abbreviations", "titles", "months") for word in tables[name]),
        *tables["months"].values(),
        *tables["roman_cardinal"],
        *tables["roman_ordinal"],
        *("apples", "people", "of", "in", "at", "and", "the", "them", "pm", "percent", "o'clock", "It"),
    }
    unlike = {
        text: said_words(text)
        for text in (frame.format(word) for word in sorted(words))
        if read(model, text) != read(model, said_words(text))
    }
    assert unlike == {}


def test_every_number_is_read_as_it_is_written_out(model: AcousticModel) -> None:
    for number in range(1, 100):
        text = f"They have {number} apples"
        assert str(number) not in said_words(text)
        assert read(model, text) == read(model, said_words(text))
