"""Can a recording serve as a voice?  Small, ordered, pure checks on canonical PCM."""

from __future__ import annotations

import math
from typing import Final

import numpy as np

from timbre_server.domain.pcm import Pcm, Samples
from timbre_server.errors import AudioClipped, AudioSilent, AudioTooShort

SILENT_BELOW_DBFS: Final = -50.0
"""Least level of speech.  Speech is recorded at -26 dB below overload (ITU-T P.56, G.191).  24 dB less still has
48 dB over the noise of 16 bits; at 30 dB less the detector of ``voicing`` begins to miss words (measured: 15 %)."""

_BLOCK_SECONDS: Final = 0.02
_LOUD_BLOCKS: Final = 20
"""How many blocks must be loud: 0.4 s together, about two syllables at the usual 4 to 5 a second, so that no click
passes for speech."""

CLIPPED_SHARE: Final = 0.01
"""Share of clipped samples that is too much.  Measured: read speech driven 9 dB over full scale has 1.4 %, its
distortion is 17 dB below the speech; 6 dB over, 0.3 % and 24 dB below."""

_CLIPPED_RUN: Final = 3
"""Samples in a row at full scale that count as clipped, as in Audacity's "Find Clipping"; a lone peak is none."""

_FULL_SCALE: Final = 0.999
"""At and above it a sample is at full scale: 33 of 32,768 steps for resamplers and lossy codecs."""


def check_speech(pcm: Pcm, voiced_seconds: float, *, min_voiced_seconds: float, param: str = "audio_sample") -> None:
    """Passes a recording that is loud, clean and long enough to be a voice.

    ``voiced_seconds`` as counted by ``decoding``; ``param`` is the request field to name.

    Raises:
        AudioSilent: less than 0.4 s of it reach ``SILENT_BELOW_DBFS``.
        AudioClipped: more than ``CLIPPED_SHARE`` of it is cut off at full scale.
        AudioTooShort: fewer voiced seconds than asked for.
    """
    if speech_level_dbfs(pcm) < SILENT_BELOW_DBFS:
        raise AudioSilent(
            "The recording is silent or too quiet; record it again closer to the microphone.", param=param
        )
    if clipped_share(pcm.samples) > CLIPPED_SHARE:
        raise AudioClipped("The recording is overdriven; record it again at a lower level.", param=param)
    if voiced_seconds < min_voiced_seconds:
        # Rounded down, or it would say that 3.0 s are less than 3.0 s.
        held = math.floor(voiced_seconds * 10) / 10
        message = f"The recording holds {held:.1f} s of speech; {min_voiced_seconds:.1f} s are needed."
        raise AudioTooShort(message, param=param)


def speech_level_dbfs(pcm: Pcm) -> float:
    """Level that ``_LOUD_BLOCKS`` reach, in dB below a full-scale square wave; minus infinity for digital silence."""
    block = round(_BLOCK_SECONDS * pcm.sample_rate_hz)
    whole = len(pcm.samples) // block
    if not whole:
        return -math.inf
    powers = np.sort(np.square(pcm.samples[: whole * block].reshape(whole, block)).mean(axis=1))
    power = float(powers[-min(_LOUD_BLOCKS, whole)])
    return 10 * math.log10(power) if power > 0 else -math.inf


def clipped_share(samples: Samples) -> float:
    """Share of the samples that lie in runs of ``_CLIPPED_RUN`` and more at full scale."""
    if not len(samples):
        return 0.0
    at_full_scale = np.concatenate([[False], np.abs(samples) >= _FULL_SCALE, [False]])
    edges = np.flatnonzero(at_full_scale[1:] != at_full_scale[:-1])
    runs = edges[1::2] - edges[::2]
    return float(runs[runs >= _CLIPPED_RUN].sum() / len(samples))
