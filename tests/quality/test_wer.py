from __future__ import annotations

import pytest

from tests.quality.recordings import load
from tests.quality.wer import needs_recogniser, transcribe, word_error_rate


def test_equal_words_are_right_whatever_their_case_and_punctuation() -> None:
    assert word_error_rate("It's late, isn't it?", "it's late isn't it") == 0


@pytest.mark.parametrize(
    ("hypothesis", "errors"),
    [
        ("one two three", 1),  # one left out
        ("one two two three four", 1),  # one put in
        ("one two tree four", 1),  # one replaced
        ("two three four five", 2),  # one left out, one put in: shifted, not four replaced
        ("", 4),
        ("a b c d e f", 6),  # may exceed 1
    ],
)
def test_each_error_counts_once(hypothesis: str, errors: int) -> None:
    assert word_error_rate("one two three four", hypothesis) == errors / 4


def test_a_reference_without_words_is_refused() -> None:
    with pytest.raises(ValueError, match="no words"):
        word_error_rate("...", "one")


@needs_recogniser
def test_clear_speech_is_understood() -> None:
    heard = transcribe(load("allison-female-other-take"))
    said = (
        "All representatives of the household are currently assisting other telemarketers. "
        "Please hold and your call will be answered in the order it was received."
    )
    # Measured: 0.21, the recogniser's own share on human speech; unrelated words give about 1.
    assert word_error_rate(said, heard) <= 0.3
