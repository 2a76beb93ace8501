"""Which frames must not be taken at their word? Those whose harmonics are huge because they cancel in the sum.

Where the voice sets in anew, hibari's network at times predicts magnitudes of up to 30 dB above their surroundings
in two or three frames, with phases such that the overlapping frames cancel.  At another fundamental they no longer
cancel and would burst, so they are brought down to the frames around them first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Final

import numpy as np
from numpy.typing import NDArray

from timbre_server.engine.embedded.frames import Floats, Frames

REACH: Final = 5
"""Frames on either side that a frame is compared with: spikes are up to 3 frames wide."""
ALLOWED: Final = 1.2
"""Nats (10 dB) above the louder side: at 0.7, natural onsets suffer too and a recogniser errs more often."""


def without_spikes(frames: Frames) -> Frames:
    """The frames with the harmonics of spikes lowered, bin by bin, to ``ALLOWED`` above their surroundings."""
    loudness = _harmonic_loudness(frames)
    around = _surroundings(loudness[None])[0]
    spikes = np.flatnonzero(frames.voiced & (loudness > around + ALLOWED))
    if not len(spikes):
        return frames
    harmonic = frames.harmonic.copy()
    padded = np.pad(frames.harmonic, ((0, 0), (REACH, REACH)), mode="edge")
    for spike in spikes:
        nearby = padded[:, spike : spike + 2 * REACH + 1]
        sides = np.median(nearby[:, :REACH], axis=1), np.median(nearby[:, REACH + 1 :], axis=1)
        harmonic[:, spike] = np.minimum(harmonic[:, spike], np.maximum(*sides) + ALLOWED)
    return replace(frames, harmonic=harmonic)


def _harmonic_loudness(frames: Frames) -> Floats:
    """Half the logarithm of the harmonics' summed power, [frames]; low where unvoiced."""
    power = np.exp(2 * frames.harmonic).sum(axis=0)
    return np.asarray(np.where(frames.voiced, 0.5 * np.log(power + 1e-12), -10), np.float32)


def _surroundings(rows: Floats) -> NDArray[np.float32]:
    """The greater of the medians before and behind each frame; shape as ``rows``, [..., frames]."""
    padded = np.pad(rows, ((0, 0), (REACH, REACH)), mode="edge")
    windows = np.lib.stride_tricks.sliding_window_view(padded, 2 * REACH + 1, axis=1)
    before, behind = np.median(windows[..., :REACH], axis=-1), np.median(windows[..., REACH + 1 :], axis=-1)
    return np.asarray(np.maximum(before, behind), np.float32)
