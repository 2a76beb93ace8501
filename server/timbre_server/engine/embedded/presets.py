"""What do OpenAI's voice names sound like here? Thirteen variants of the base voice.

They share its speaker and accent, and differ in pitch, melody, tract length and colour: enough to tell them apart,
not to pass for thirteen people.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

import numpy as np

from timbre_server.domain.voice import Features
from timbre_server.engine.embedded import envelope
from timbre_server.engine.embedded.baseline import Baseline
from timbre_server.engine.embedded.conversion import tilt
from timbre_server.engine.embedded.envelope import BAND_HZ, BANDS, CEPSTRA
from timbre_server.engine.embedded.extraction import frozen
from timbre_server.engine.embedded.frames import Floats


@dataclass(frozen=True)
class Variant:
    """A difference from the base voice."""

    semitones: float = 0.0
    range: float = 1.0
    warp: float = 1.0
    """Tract length: see ``Conversion``."""
    tilt_db_per_octave: float = 0.0
    body_db: float = 0.0
    """Warmth: a wide bell about 300 Hz."""
    presence_db: float = 0.0
    """Closeness: a wide bell about 3 kHz."""


VARIANTS: Final[Mapping[str, Variant]] = MappingProxyType(
    {
        "alloy": Variant(),
        "ash": Variant(-8.0, 0.95, 0.90, -0.5, 2.0, 1.0),
        "ballad": Variant(-6.0, 1.25, 0.91, -1.2, 1.0, -2.0),
        "coral": Variant(1.5, 1.2, 1.0, 0.6, -1.0, 3.0),
        "echo": Variant(-9.5, 0.75, 0.88, 0.6, -1.5, 3.0),
        "fable": Variant(-3.0, 1.3, 0.95, 0.5, -2.0, 1.5),
        "onyx": Variant(-13.0, 0.8, 0.86, -1.2, 4.0, -1.0),
        "nova": Variant(2.8, 1.3, 1.0, 1.0, -2.0, 0.0),
        "sage": Variant(-1.5, 0.8, 0.97, -1.0, 2.5, -2.0),
        "shimmer": Variant(4.2, 0.9, 1.0, -0.6, -3.0, 3.5),
        "verse": Variant(-4.6, 1.1, 0.93, 1.0, 0.0, 3.0),
        "marin": Variant(0.7, 1.1, 0.98, -0.4, 3.0, 2.5),
        "cedar": Variant(-11.2, 1.1, 0.87, 0.0, 2.5, 2.5),
    }
)
"""Low, middle and high as OpenAI's own voices are; neighbours in pitch differ in colour."""

_BODY_HZ: Final = 300.0
_PRESENCE_HZ: Final = 3000.0
_BELL_OCTAVES: Final = 0.8
"""Standard deviation of a bell: wide enough to colour the voice and leave single formants alone."""


def preset_voices(baseline: Baseline) -> Mapping[str, Features]:
    """Features of all variants; they have no recording, so contour and envelopes are empty and the embedding is zero."""
    return MappingProxyType({name: _features(variant, baseline) for name, variant in VARIANTS.items()})


def _features(variant: Variant, baseline: Baseline) -> Features:
    means = envelope.warped(baseline.mean_envelopes, variant.warp) + _colour(variant)
    median_hz = np.exp(baseline.log_f0_median) * 2 ** (variant.semitones / 12)
    return frozen(
        {
            "speaker_embedding": np.zeros(256),
            "f0_contour": np.zeros(0),
            "envelope": np.zeros((0, BANDS)),
            "f0_stats": np.asarray([median_hz, baseline.log_f0_spread * variant.range, 1.0, baseline.level_dbfs]),
            "cep_mean": means @ envelope.COSINES.T,
            "map_bias": np.zeros((2, CEPSTRA)),
            "cep_cov": np.zeros((2, CEPSTRA, CEPSTRA)),
            "warp": np.asarray([variant.warp]),
        }
    )


def _colour(variant: Variant) -> Floats:
    """The variant's gain per band, in nats."""
    bells = variant.body_db * _bell(_BODY_HZ) + variant.presence_db * _bell(_PRESENCE_HZ)
    return np.asarray(tilt(variant.tilt_db_per_octave, BAND_HZ) + bells * (np.log(10) / 20), np.float32)


def _bell(centre_hz: float) -> Floats:
    return np.asarray(np.exp(-0.5 * (np.log2(BAND_HZ / centre_hz) / _BELL_OCTAVES) ** 2), np.float32)
