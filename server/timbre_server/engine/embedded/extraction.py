"""What is kept of a voice? The features that a reference gives, as plain arrays.

Pitch and mean envelopes steer the conversion; contour, envelopes, covariances and embedding serve quality checks
and later, finer conversions without the recording.
"""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

import numpy as np

from timbre_server.domain.pcm import Array, Pcm, Samples
from timbre_server.domain.voice import Features
from timbre_server.engine.embedded import calibration, conversion, envelope
from timbre_server.engine.embedded.analysis import Analysis, analyse
from timbre_server.engine.embedded.baseline import Baseline
from timbre_server.engine.embedded.envelope import BANDS, CEPSTRA
from timbre_server.engine.embedded.frames import FRAMES_PER_SECOND, SAMPLE_RATE_HZ, Floats
from timbre_server.errors import AudioTooShort, EngineError
from timbre_server.ports import SpeakerVerifier, TensorSpec

EXTRACTOR: Final = 1
"""Counted up with every change of this package that moves a feature of an equal reference."""
MIN_VOICED_SECONDS: Final = 3.0
"""Means of envelopes settle after about 3 s of voiced speech."""

FEATURE_SPEC: Final[Mapping[str, TensorSpec]] = MappingProxyType(
    {
        "speaker_embedding": TensorSpec("float32", (256,)),
        "f0_contour": TensorSpec("float16", (None,)),
        "envelope": TensorSpec("float16", (None, BANDS)),
        "f0_stats": TensorSpec("float32", (4,)),
        "cep_mean": TensorSpec("float32", (2, CEPSTRA)),
        "cep_cov": TensorSpec("float32", (2, CEPSTRA, CEPSTRA)),
        "map_bias": TensorSpec("float32", (2, CEPSTRA)),
        "warp": TensorSpec("float32", (1,)),
    }
)
"""``f0_contour``: Hz, 80 per second, 0 where unvoiced.  ``envelope``: see ``envelope``, at the level of the base
voice.  ``f0_stats``: median in Hz, robust standard deviation of ln F0, share of voiced frames, level in dBFS.
``cep_*``: cosine transform of the voiced and the unvoiced frames' envelopes.  ``map_bias``: see
``calibration``.  ``warp``: see ``Conversion``."""

BYTES_PER_SECOND: Final = FRAMES_PER_SECOND * 2.0 * (BANDS + 1)
"""Of contour and envelopes; the rest is 6 KB whatever the length."""

_SILENT_DB: Final = 65.0
"""A band that even in its loudest frames lies so far below the loudest band was not recorded."""
_LOUD_PERCENTILE: Final = 95


def extract(samples: Samples, baseline: Baseline, verifier: SpeakerVerifier) -> Features:
    """The features of 24 kHz reference audio, read-only, as ``FEATURE_SPEC`` has them.

    Raises:
        AudioTooShort: it holds less than ``MIN_VOICED_SECONDS`` of voiced speech.
        EngineError: a feature is not finite.
    """
    analysis = analyse(samples)
    if analysis.voiced_seconds < MIN_VOICED_SECONDS:
        raise AudioTooShort(
            f"The recording holds {analysis.voiced_seconds:.1f} s of voiced speech, and {MIN_VOICED_SECONDS:g} s are "
            "needed: record a few sentences in a quiet room."
        )
    level = np.float32((baseline.level_dbfs - analysis.level_dbfs) * np.log(10) / 20)
    levelled = Analysis(analysis.f0_hz, analysis.envelopes + level, analysis.active)
    features = _features(levelled, analysis.level_dbfs, baseline)
    features["map_bias"] = calibration.missed(features, baseline)
    features["speaker_embedding"] = verifier.embed(Pcm(samples, SAMPLE_RATE_HZ))
    return frozen(features)


def frozen(features: Mapping[str, Array]) -> Features:
    """The arrays in the order and types of the spec, read-only.

    Raises:
        EngineError: one of them is not finite.
    """
    arrays = {}
    for name, spec in FEATURE_SPEC.items():
        array = np.array(features[name], spec.dtype, order="C")
        if not np.isfinite(array).all():
            raise EngineError(f"The feature {name} is not finite.")
        array.flags.writeable = False
        arrays[name] = array
    return MappingProxyType(arrays)


def _features(analysis: Analysis, level_dbfs: float, baseline: Baseline) -> dict[str, Array]:
    """Everything but embedding and correction; the analysis is at the level of the base voice."""
    median, spread = analysis.log_f0
    warp = conversion.warp_for(median, baseline.log_f0_median)
    means = _completed(analysis, envelope.warped(baseline.mean_envelopes, warp))
    return {
        "f0_contour": analysis.f0_hz,
        "envelope": analysis.envelopes,
        "f0_stats": np.asarray([np.exp(median), spread, analysis.voiced.mean(), level_dbfs]),
        "cep_mean": means @ envelope.COSINES.T,
        "map_bias": np.zeros((2, CEPSTRA), np.float32),
        "cep_cov": np.stack([_covariance(analysis.envelopes[mask]) for mask in (analysis.voiced, analysis.unvoiced)]),
        "warp": np.asarray([warp]),
    }


def _completed(analysis: Analysis, base_means: Floats) -> Floats:
    """The mean envelopes, continued above the recording's bandwidth as the base voice goes on there; [2, BANDS]."""
    means = analysis.mean_envelopes()
    loud = np.percentile(analysis.envelopes[analysis.active], _LOUD_PERCENTILE, axis=0)
    heard = np.flatnonzero(loud > loud.max() - _SILENT_DB * np.log(10) / 20)
    top = max(0, int(heard[-1]) - 1)  # the topmost band that is heard may be cut in half
    if top >= BANDS - 2:
        return means
    step = means[:, top, None] - base_means[:, top, None]
    return np.asarray(np.concatenate([means[:, : top + 1], base_means[:, top + 1 :] + step], axis=1), np.float32)


def _covariance(envelopes: Floats) -> Floats:
    if len(envelopes) < 2:
        return np.zeros((CEPSTRA, CEPSTRA), np.float32)
    return np.asarray(np.cov(envelopes @ envelope.COSINES.T, rowvar=False), np.float32)
