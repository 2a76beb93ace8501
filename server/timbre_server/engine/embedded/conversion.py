"""How does the base voice take on another's? Its frames are moved to the statistics of the target voice.

Pitch: median and spread of log F0.  Timbre: the mean envelope, of voiced and unvoiced frames apart, as a fixed gain
per frequency, and a lengthening of the vocal tract for lower voices.  Nothing else: matching covariances, blending
neighbours, warping upwards or damping the residual all cost intelligibility (word error rates rise from 0.02 to
0.03-0.37; docs/decisions/0001-embedded-engine.md).

References: D. Sundermann and H. Ney, "VTLN-based voice conversion" (2003), for the warp; the rest is mean matching.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.typing import NDArray

from timbre_server.domain.voice import Features
from timbre_server.engine.embedded import envelope
from timbre_server.engine.embedded.baseline import Baseline
from timbre_server.engine.embedded.frames import BINS, SAMPLE_RATE_HZ, WINDOW, Floats, Frames
from timbre_server.engine.embedded.prosody import Prosody

RUMBLE_BELOW_HZ: Final = 300.0
"""Unvoiced speech has no energy here: what a recording holds is its room, which would turn bursts into thumps."""
LOWEST_F0_HZ: Final = 55.0
HIGHEST_F0_HZ: Final = 500.0
MAX_GAIN: Final = 2.0
"""Nats (17 dB): more would lift what a recording does not hold, such as the highs of a telephone."""
RANGE_LIMITS: Final = (0.6, 1.6)
"""Outside, the melody turns flat or wild, mostly because the spread was misjudged."""
SMALLEST_WARP: Final = 0.86
"""Female to male vocal tracts differ by about 15 % in length (Fant, 1966)."""
WARP_PER_LOG_F0: Final = 0.2
"""An octave between two voices goes with about 13 % of tract length."""
TARGET_DBFS: Final = -21.0
"""Level of the active frames that every neutral voice aims at, and meets within 5 dB: leaves the peaks of speech,
12 to 18 dB higher, unclipped."""
# The voicing that mixes the two gains changes over 7 frames: 5 of voicing times 3 of gain.
_VOICING_TAPS: Final = np.convolve(np.ones(5) / 5, np.ones(3) / 3)
_NEPERS_PER_DB: Final = float(np.log(10) / 20)
_BIN_WIDTH_HZ: Final = SAMPLE_RATE_HZ / WINDOW
_LOUD_BELOW_HZ: Final = 5000.0
"""Above it harmonics hold less than 1 % of a voice's power."""
_TILT_CENTRE_HZ: Final = 1000.0
_TILT_LIMITS_HZ: Final = (125.0, 8000.0)
"""Flat outside, so that a tilt lifts neither rumble nor hiss."""


@dataclass(frozen=True, eq=False)
class Conversion:
    """The way from the base voice to a target voice in a way of speaking."""

    source_log_f0: float
    target_log_f0: float
    range: float
    warp: float
    """Frequencies are read at f / warp; 1 leaves them, below it resonances fall."""
    voiced_gain: Floats
    """Added to log magnitudes of voiced frames, [BINS]."""
    unvoiced_gain: Floats
    level: float
    """Nats from the base voice's level to the wanted one."""


def conversion_to(features: Features, baseline: Baseline, prosody: Prosody) -> Conversion:
    """The conversion to a voice of ``extraction.FEATURE_SPEC``; about 1 ms."""
    median_hz, spread = (float(value) for value in features["f0_stats"][:2])
    warp = float(features["warp"][0])
    source = envelope.warped(baseline.mean_envelopes, warp)
    bias = features["cep_mean"] + features["map_bias"] - source @ envelope.COSINES.T
    gains = _without_rumble(np.clip(bias @ envelope.COSINES, -MAX_GAIN, MAX_GAIN).astype(np.float32))
    gains += tilt(prosody.tilt_db_per_octave, envelope.BAND_HZ)
    return Conversion(
        source_log_f0=baseline.log_f0_median,
        target_log_f0=float(np.log(median_hz)) + prosody.semitones * float(np.log(2) / 12),
        range=float(np.clip(spread / baseline.log_f0_spread, *RANGE_LIMITS)) * prosody.range,
        warp=warp,
        voiced_gain=envelope.over_bins(gains[0]),
        unvoiced_gain=envelope.over_bins(gains[1]),
        level=(TARGET_DBFS - baseline.level_dbfs + prosody.gain_db) * _NEPERS_PER_DB,
    )


def warp_for(log_f0: float, source_log_f0: float) -> float:
    """The warp for a voice of that median pitch; it only ever lengthens the tract."""
    return float(np.clip(np.exp(WARP_PER_LOG_F0 * (log_f0 - source_log_f0)), SMALLEST_WARP, 1.0))


def tilt(db_per_octave: float, hz: Floats) -> Floats:
    """A sloped gain in nats at each frequency, 0 at 1 kHz."""
    octaves = np.log2(np.clip(hz, *_TILT_LIMITS_HZ) / _TILT_CENTRE_HZ)
    return np.asarray(octaves * (db_per_octave * _NEPERS_PER_DB), np.float32)


def converted_f0(frames: Frames, conversion: Conversion) -> Floats:
    """The target's fundamental, Hz, [frames]; 0 where unvoiced."""
    logs = np.log(np.where(frames.voiced, frames.f0_hz, 1))
    target = conversion.target_log_f0 + conversion.range * (logs - conversion.source_log_f0)
    return np.asarray(np.where(frames.voiced, np.clip(np.exp(target), LOWEST_F0_HZ, HIGHEST_F0_HZ), 0), np.float32)


def convert(frames: Frames, f0_hz: Floats, conversion: Conversion, blocks: Iterator[slice]) -> Iterator[Frames]:
    """The frames in the target's voice, block by block; ``f0_hz`` is their converted fundamental."""
    voicing = _smoothed_voicing(frames)
    # Harmonics further apart carry less power together, which each of them makes up for.
    rise = np.maximum(f0_hz, 1) / np.maximum(frames.f0_hz, 1)
    density = np.where(frames.voiced, 0.5 * np.log(rise), 0).astype(np.float32)
    level = np.float32(_level_gain(frames, f0_hz, conversion))
    for block in blocks:
        here, share = frames[block], voicing[block]
        gain = level + conversion.voiced_gain[:, None] * share + conversion.unvoiced_gain[:, None] * (1 - share)
        yield Frames(
            harmonic=np.asarray(_warped(here.harmonic, conversion.warp) + gain + density[block], np.float32),
            harmonic_phase=here.harmonic_phase,
            residual=np.asarray(_warped(here.residual, conversion.warp) + gain, np.float32),
            residual_phase=here.residual_phase,
            f0_hz=f0_hz[block],
        )


def _smoothed_voicing(frames: Frames) -> Floats:
    reach = len(_VOICING_TAPS) // 2
    padded = np.pad(frames.voiced.astype(np.float64), reach, mode="edge")
    return np.asarray(np.convolve(padded, _VOICING_TAPS, mode="valid"), np.float32)


def _warped(log_magnitude: Floats, warp: float) -> Floats:
    """Each frame read at f / warp along its bins; shape unchanged."""
    if warp == 1.0:
        return log_magnitude
    places = np.minimum(np.arange(BINS) / warp, BINS - 1)
    lower = np.minimum(places.astype(np.intp), BINS - 2)
    share = (places - lower).astype(np.float32)[:, None]
    return np.asarray(log_magnitude[lower] * (1 - share) + log_magnitude[lower + 1] * share, np.float32)


def _without_rumble(gains: Floats) -> Floats:
    """The gains ([2, BANDS]), the unvoiced one at low frequencies no more than the voiced one and never a lift."""
    low = np.minimum(np.minimum(gains[1], gains[0]), 0)
    return np.stack([gains[0], np.where(envelope.BAND_HZ < RUMBLE_BELOW_HZ, low, gains[1])])


def _level_gain(frames: Frames, f0_hz: Floats, conversion: Conversion) -> float:
    """Nats that give the converted frames the wanted level: what the conversion itself adds is taken off again.

    Other gains, and other harmonics that fall on other parts of the envelope, move the level by up to 5 dB.
    """
    voiced = frames.voiced
    if not voiced.any():
        return conversion.level
    here, moved, columns = frames.f0_hz[voiced], f0_hz[voiced], np.flatnonzero(voiced)
    order = np.arange(1, int(_LOUD_BELOW_HZ / LOWEST_F0_HZ) + 1)[:, None]
    before = _harmonic_power(frames.harmonic[_bins(order * here), columns], order * here)
    gains = conversion.voiced_gain[_bins(order * moved)] + 0.5 * np.log(moved / here).astype(np.float32)
    read = frames.harmonic[_bins(order * moved / conversion.warp), columns]
    after = _harmonic_power(np.asarray(read + gains, np.float32), order * moved)
    return conversion.level - 0.5 * float(np.log(after / before))


def _harmonic_power(log_magnitude: Floats, hz: Floats) -> float:
    return float(np.sum(np.exp(2 * log_magnitude, dtype=np.float64), where=hz < _LOUD_BELOW_HZ))


def _bins(hz: Floats) -> NDArray[np.intp]:
    return np.asarray(np.minimum(np.rint(hz / _BIN_WIDTH_HZ), BINS - 1), np.intp)
