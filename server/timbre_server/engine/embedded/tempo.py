"""How fast is it said? The model sets a rough rate, and the frames are stretched to the exact one.

The model counts whole units of 25 ms per phoneme, so its rate follows its ``speed`` input in steps (1.1 gives 1.03,
1.5 gives 1.56), its pitch rises with it, and from 1.5 on phonemes shrink to one unit.  Frames have no such steps.
"""

from __future__ import annotations

from typing import Final

import numpy as np

from timbre_server.engine.embedded.frames import Frames

_MODEL_SPEEDS: Final = (0.4, 0.5, 0.6, 0.75, 0.9, 1.0, 1.1, 1.25)
_MODEL_RATES: Final = (0.404, 0.502, 0.605, 0.731, 0.962, 1.0, 1.031, 1.132)
"""Rate of speech at each ``speed``, mean of 10 sentences; single ones lie within 6 % (hibari 0.2.1).  Beyond 1.25 the
recogniser errs more on the model's fast speech than on stretched frames (0.38 against 0.24 at 1.5)."""


def paced(speed: float) -> tuple[float, float]:
    """The model's ``speed`` and the remaining rate for ``stretched``, which together give ``speed``."""
    model_speed = float(np.clip(speed, _MODEL_SPEEDS[0], _MODEL_SPEEDS[-1]))
    return model_speed, speed / float(np.interp(model_speed, _MODEL_SPEEDS, _MODEL_RATES))


def stretched(frames: Frames, rate: float) -> Frames:
    """The frames played ``rate`` times as fast, pitch unchanged; at least one."""
    count = max(1, round(len(frames) / rate))
    if count == len(frames):
        return frames
    places = np.clip((np.arange(count) + 0.5) * rate - 0.5, 0, len(frames) - 1)
    lower = places.astype(np.intp)
    upper = np.minimum(lower + 1, len(frames) - 1)
    share = (places - lower).astype(np.float32)
    nearest = np.where(share < 0.5, lower, upper)
    # Phases wrap and voicing switches, so these are taken over whole.
    harmonic, phase, residual = (
        np.asarray(values[:, lower] * (1 - share) + values[:, upper] * share, np.float32)
        for values in (frames.harmonic, frames.harmonic_phase, frames.residual)
    )
    return Frames(harmonic, phase, residual, frames.residual_phase[:, nearest], frames.f0_hz[nearest])
