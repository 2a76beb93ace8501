"""Whose voice is it? A second opinion that shares nothing with the engine's own speaker encoder.

Mel-frequency cepstra and one Gaussian mixture per speaker, as speaker recognition was done before neural
networks: a voice that was fitted to the encoder's taste gains nothing here.

References: Reynolds and Rose, "Robust Text-Independent Speaker Identification Using Gaussian Mixture Speaker
Models" (1995); O'Shaughnessy, "Speech Communication" (1987), for the mel formula.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Final

import numpy as np
import soxr
from numpy.typing import NDArray

from timbre_server.domain.pcm import Pcm

if TYPE_CHECKING:
    from sklearn.mixture import GaussianMixture

SAMPLE_RATE_HZ: Final = 16_000
COMPONENTS: Final = 8
"""Gaussians per speaker: 10 s of speech hold about 1,000 frames, 30 for each mean and variance pair at 8."""
CEPSTRA: Final = 19
"""Coefficients 1 to 19; the 0th is loudness and says nothing about the speaker."""
BANDS: Final = 32
LOW_HZ, HIGH_HZ = 100.0, 7_000.0
"""Band of the features: leaves out hum, and what wideband telephony (G.722) cuts."""
WINDOW, HOP, FFT = 400, 160, 512
"""25 ms every 10 ms at 16 kHz."""
GATE_DB: Final = 30.0
"""Frames quieter than this below the loud ones (95th percentile) are pauses and are left out."""

Frames = NDArray[np.float64]


class SpeakerJudge:
    """Ranks the speakers that it was fitted on by how well each explains a recording; deterministic."""

    def __init__(self, mixtures: Mapping[str, GaussianMixture]) -> None:
        self._mixtures = mixtures

    @classmethod
    def fit(cls, recordings: Mapping[str, Sequence[Pcm]]) -> SpeakerJudge:
        """A judge who knows the speakers of ``recordings``: name -> 10 s or more of speech in any number of takes."""
        from sklearn.mixture import GaussianMixture  # noqa: PLC0415 - takes 2 s, and every session of tests collects this

        mixtures = {}
        for speaker, takes in recordings.items():
            frames = np.concatenate([cepstra(take) for take in takes])
            mixture = GaussianMixture(COMPONENTS, covariance_type="diag", reg_covar=1e-2, random_state=0)
            mixtures[speaker] = mixture.fit(frames)
        return cls(mixtures)

    def log_likelihoods(self, pcm: Pcm) -> dict[str, float]:
        """Mean log-likelihood per frame under each speaker's mixture; only differences mean something."""
        frames = cepstra(pcm)
        return {speaker: float(mixture.score(frames)) for speaker, mixture in self._mixtures.items()}

    def nearest(self, pcm: Pcm) -> str:
        """The speaker who explains the recording best."""
        scores = self.log_likelihoods(pcm)
        return max(scores, key=scores.__getitem__)


def cepstra(pcm: Pcm) -> Frames:
    """Mel-frequency cepstra of the voiced frames, float64, shape [frames, CEPSTRA]; level drops out."""
    from scipy.fft import dct  # noqa: PLC0415 - the same

    samples = soxr.resample(pcm.samples.astype(np.float64), pcm.sample_rate_hz, SAMPLE_RATE_HZ)
    frames = np.lib.stride_tricks.sliding_window_view(samples, WINDOW)[::HOP] * np.hamming(WINDOW)
    power = np.abs(np.fft.rfft(frames, FFT, axis=1)) ** 2
    level_db = 10 * np.log10(power.sum(axis=1) + 1e-12)
    loud = level_db > np.percentile(level_db, 95) - GATE_DB
    bands = np.log(power[loud] @ _mel_filters() + 1e-10)
    return np.asarray(dct(bands, norm="ortho", axis=1))[:, 1 : CEPSTRA + 1]


def _mel_filters() -> NDArray[np.float64]:
    """Triangles over the power spectrum, shape [FFT // 2 + 1, BANDS]."""
    mels = np.linspace(2595 * np.log10(1 + LOW_HZ / 700), 2595 * np.log10(1 + HIGH_HZ / 700), BANDS + 2)
    edges = 700 * (10 ** (mels / 2595) - 1)
    low, centre, high = edges[:-2], edges[1:-1], edges[2:]
    bins = np.fft.rfftfreq(FFT, 1 / SAMPLE_RATE_HZ)[:, None]
    return np.maximum(0.0, np.minimum((bins - low) / (centre - low), (high - bins) / (high - centre)))
