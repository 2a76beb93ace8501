"""What is the base voice like? hibari's own voice, measured as references are, once per process."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from timbre_server.engine.embedded import vocoder
from timbre_server.engine.embedded.acoustic import AcousticModel
from timbre_server.engine.embedded.analysis import analyse
from timbre_server.engine.embedded.frames import Floats, Frames

CALIBRATION_TEXT: Final = (
    "The beige hue on the waters of the loch impressed all, including the French queen, before she heard that "
    "symphony again, just as young Arthur wanted. Did they measure how far those huge ships judge a voyage?"
)
"""The first sentence holds every phoneme of English (a known pangram of sounds); the second asks."""


@dataclass(frozen=True, eq=False)
class Baseline:
    """Statistics of the base voice."""

    frames: tuple[Frames, ...]
    """The calibration text, sentence by sentence, as the model says it; 8 MB."""
    log_f0_median: float
    """ln(F0 / 1 Hz) over voiced frames."""
    log_f0_spread: float
    mean_envelopes: Floats
    """Voiced and unvoiced, [2, BANDS]."""
    level_dbfs: float


def measure(model: AcousticModel) -> Baseline:
    """Lets the model speak the calibration text and measures it; about 0.15 s of CPU, and it warms the model up."""
    frames = tuple(model.frames(phonemes) for phonemes in model.phonemes(CALIBRATION_TEXT))
    analysis = analyse(np.concatenate([wave for each in frames for wave in vocoder.render(each.f0_hz, [each])]))
    median, spread = analysis.log_f0
    return Baseline(
        frames=frames,
        log_f0_median=median,
        log_f0_spread=spread,
        mean_envelopes=analysis.mean_envelopes(),
        level_dbfs=analysis.level_dbfs,
    )
