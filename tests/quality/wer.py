"""Can the speech be understood? What a recogniser hears, and how far that is from what was to be said."""

from __future__ import annotations

import re
from functools import cache
from importlib.util import find_spec
from typing import Final

import numpy as np
import pytest
import soxr

from timbre_server.domain.pcm import Pcm

HAS_RECOGNISER: Final = find_spec("pocketsphinx") is not None
"""pyproject.toml names the Pythons that it has no wheel for; on any other ``make setup`` fails without it."""
if HAS_RECOGNISER:
    from pocketsphinx import Decoder

SAMPLE_RATE_HZ: Final = 16_000
"""Rate of the US English model inside the pocketsphinx wheel."""
_STATES_PER_FRAME: Final = 3_000
"""That it follows at most, where its own default is 30,000: four voices saying SENTENCES have the same error rates (0.022 to
0.037) with either, and this takes two thirds of the processor time."""

needs_recogniser = pytest.mark.skipif(not HAS_RECOGNISER, reason="pocketsphinx has no wheel for this Python")


def transcribe(pcm: Pcm) -> str:
    """The words that pocketsphinx hears with its own model and dictionary, lower case, one blank between two."""
    samples = soxr.resample(pcm.samples, pcm.sample_rate_hz, SAMPLE_RATE_HZ)
    decoder = _decoder()
    decoder.reinit_feat()  # forgets the mean of what it heard before: every recording is its first one
    decoder.start_utt()
    decoder.process_raw(np.asarray(np.clip(samples, -1, 1) * 32767, "<i2").tobytes(), full_utt=True)
    decoder.end_utt()
    hypothesis = decoder.hyp()
    return hypothesis.hypstr if hypothesis else ""


@cache
def _decoder() -> Decoder:
    """Reads its model and dictionary once, a quarter of a second."""
    return Decoder(samprate=SAMPLE_RATE_HZ, loglevel="FATAL", maxhmmpf=_STATES_PER_FRAME)


def word_error_rate(reference: str, hypothesis: str) -> float:
    """Words substituted, left out and put in, as a share of the reference's words: 0 = right, may exceed 1.

    Case and punctuation do not count.  The reference needs a word.
    """
    expected, heard = _words(reference), _words(hypothesis)
    if not expected:
        raise ValueError("the reference has no words")
    costs = list(range(len(heard) + 1))
    for row, word in enumerate(expected, start=1):
        previous, costs[0] = costs[0], row
        for column, other in enumerate(heard, start=1):
            substituted = previous + (word != other)
            previous = costs[column]
            costs[column] = min(substituted, previous + 1, costs[column - 1] + 1)
    return costs[-1] / len(expected)


def _words(text: str) -> list[str]:
    return re.findall(r"[\w']+", text.lower())
