from __future__ import annotations

import sys
import unicodedata

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from timbre_server.engine.embedded import acoustic
from timbre_server.engine.embedded.acoustic import MAX_PHONEMES, AcousticModel, bounded
from timbre_server.engine.embedded.text import split
from timbre_server.errors import ConfigurationError, UnspeakableText


def test_words_become_known_phonemes(model: AcousticModel) -> None:
    (phonemes,) = model.phonemes("Hello there, blorptastic friends.")
    assert phonemes.startswith("h\u0259l\u02c8O ")
    assert set(phonemes) <= set(model.vocabulary)


def test_nothing_to_say_gives_no_phonemes(model: AcousticModel) -> None:
    assert model.phonemes("...!?") == []


@given(st.text(st.sampled_from("aeiou ,.—"), max_size=2000))
def test_bounded_phonemes_keep_everything_but_spaces(phonemes: str) -> None:
    parts = list(bounded(phonemes))
    assert all(0 < len(part) <= MAX_PHONEMES for part in parts)
    assert "".join(parts).replace(" ", "") == phonemes.replace(" ", "")


def test_phonemes_are_cut_behind_a_clause_rather_than_amid_a_phrase() -> None:
    first, second = bounded("a" * 200 + ", " + "b " * 100)
    assert first == "a" * 200 + ","
    assert len(second) <= MAX_PHONEMES


@settings(max_examples=60, suppress_health_check=[HealthCheck.function_scoped_fixture], deadline=None)
@given(said=st.text(st.characters(max_codepoint=0x24F), min_size=1, max_size=120))
def test_whatever_can_be_split_can_be_pronounced(model: AcousticModel, said: str) -> None:
    try:
        items = split(said)
    except UnspeakableText:
        return
    assert all(len(part) <= MAX_PHONEMES for item in items for part in model.phonemes(item))


@pytest.mark.parametrize("said", ["\u00b9A footnote", "x\u00b2 and \u00b32b", "\u2460a"])
def test_raised_and_encircled_digits_are_said(model: AcousticModel, said: str) -> None:
    (item,) = split(said)
    assert model.phonemes(item) == model.phonemes(unicodedata.normalize("NFKC", said))


@pytest.mark.parametrize("said", ["word " * 5000, "a" * 10_000, "7" * 10_000, "1," * 2000, "http://a.b/" * 300])
def test_no_run_of_the_model_is_large_however_long_the_text(model: AcousticModel, said: str) -> None:
    parts = [part for item in split(said)[:20] for part in model.phonemes(item)]
    assert max(map(len, parts)) <= MAX_PHONEMES


def test_speed_changes_the_number_of_frames(model: AcousticModel) -> None:
    (phonemes,) = model.phonemes("The boats lay still in the morning light.")
    slow, plain = (len(model.frames(phonemes, speed)) for speed in (0.5, 1.0))
    assert slow / plain == pytest.approx(2, rel=0.1)


def test_equal_phonemes_give_equal_frames(model: AcousticModel) -> None:
    (phonemes,) = model.phonemes("Hello.")
    assert np.array_equal(model.frames(phonemes).harmonic, model.frames(phonemes).harmonic)


def test_another_version_of_the_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acoustic, "REVISION", "9.9.9")
    with pytest.raises(ConfigurationError, match=r"needs hibari-tts==9\.9\.9"):
        AcousticModel.load()


def test_an_absent_model_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(acoustic, "PACKAGE", "hibari-tts-that-is-not-there")
    with pytest.raises(ConfigurationError, match="needs the package"):
        AcousticModel.load()


def test_the_model_comes_without_the_package_around_it(model: AcousticModel) -> None:
    assert model.pronounce("Hello.")
    assert "hibari" not in sys.modules
