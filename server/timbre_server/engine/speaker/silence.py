"""Which stretches of a recording hold the voice? Pauses are cut before the encoder listens.

References: Resemblyzer 0.1.4 ``audio.py`` for the smoothing and widening of the mask; there WebRTC's detector
decides on each window, here its level does (docs/decisions/0002-speaker-match.md).
"""

from __future__ import annotations

from typing import Final

import numpy as np
from numpy.typing import NDArray

from timbre_server.domain.pcm import Samples

WINDOW: Final = 480
"""Samples per decision: 30 ms at 16 kHz."""
SMOOTHING_WINDOWS: Final = 8
WIDENING_WINDOWS: Final = 3
"""How far a voiced stretch reaches out to each side (there: a dilation by 7)."""
GATE_DB: Final = 30.0
"""A window is voiced when it is at most this much below the loud ones (their 95th percentile): about the range
between vowels and the weakest consonants of one speaker."""
_LOUD_PERCENTILE: Final = 95
_TINY: Final = 1e-10


def voiced_windows(samples: Samples) -> NDArray[np.bool_]:
    """Which windows of 16 kHz audio carry the voice, shape [n // WINDOW]."""
    windows = samples[: len(samples) // WINDOW * WINDOW].reshape(-1, WINDOW)
    if not len(windows):
        return np.zeros(0, np.bool_)
    level_db = 10 * np.log10(np.mean(np.square(windows, dtype=np.float64), axis=1) + _TINY)
    loud_db = np.percentile(level_db, _LOUD_PERCENTILE)
    voiced = (level_db >= loud_db - GATE_DB).astype(np.float64)
    left = (SMOOTHING_WINDOWS - 1) // 2
    padded = np.pad(voiced, (left, SMOOTHING_WINDOWS - 1 - left))
    smooth = np.convolve(padded, np.ones(SMOOTHING_WINDOWS) / SMOOTHING_WINDOWS, "valid") > 0.5
    reach = np.ones(2 * WIDENING_WINDOWS + 1)
    return np.convolve(smooth, reach, "same") > 0


def cut_pauses(samples: Samples) -> Samples:
    """The voiced stretches of 16 kHz audio, joined; all of it where no window stands out."""
    kept = np.repeat(voiced_windows(samples), WINDOW)
    return samples[: len(kept)][kept] if kept.any() else samples
