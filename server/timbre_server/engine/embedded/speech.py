"""How does one job become sound? Phonemes, frames, the target's voice, waveform; pauses and level at the end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

import numpy as np

from timbre_server.engine.embedded import conversion, tempo, vocoder
from timbre_server.engine.embedded.acoustic import AcousticModel
from timbre_server.engine.embedded.baseline import Baseline
from timbre_server.engine.embedded.conversion import Conversion
from timbre_server.engine.embedded.frames import SAMPLE_RATE_HZ, Floats, Frames
from timbre_server.engine.embedded.prosody import prosody_of
from timbre_server.ports import Utterance

FIRST_BLOCK_FRAMES: Final = 40
"""Half a second: rendered and sent before the rest is converted."""
BLOCK_FRAMES: Final = 160
"""Two seconds: 160 * 601 values stay in a core's cache."""

PAUSES_SECONDS: Final = {".": 0.35, "!": 0.35, "?": 0.35, "…": 0.45, ":": 0.25, ";": 0.25, "—": 0.2, ",": 0.15}
"""Behind an item, by its last sign, at speed 1; read speech pauses 0.15 s at commas and 0.3 to 0.6 s at full stops."""
JOIN_SECONDS: Final = 0.02
"""Behind an item that ends amid a phrase."""

_CLOSING_MARKS: Final = re.compile(r"[\s\"'”\u2019)\]]+$")
_QUIET_BELOW_LOUD: Final = 5.2
"""Nats (45 dB): quieter frames at the ends are the model's own silence, which would add to our pauses."""
_KEEP_BEFORE: Final = 2
_KEEP_AFTER: Final = 4
"""Frames of silence that stay, because breath and closures begin and end in them."""

_KNEE: Final = np.float32(0.8)
"""Up to here samples stay as they are; above, they bend towards 1 without reaching it."""


def speak(job: Utterance, model: AcousticModel, base: Baseline) -> Iterator[Floats]:
    """The speech of a job, stretch by stretch, without the pause behind it; within [-1, 1]."""
    prosody = prosody_of(job.parameters, job.text)
    target = conversion.conversion_to(job.features, base, prosody)
    model_speed, rate = tempo.paced(prosody.speed)
    for number, phonemes in enumerate(model.phonemes(job.text)):
        if number:
            yield silence(JOIN_SECONDS)
        frames = tempo.stretched(_trimmed(model.frames(phonemes, model_speed)), rate)
        yield from sounded(frames, target)


def sounded(frames: Frames, target: Conversion) -> Iterator[Floats]:
    """The frames as sound in the target voice, stretch by stretch; within [-1, 1]."""
    f0_hz = conversion.converted_f0(frames, target)
    blocks = conversion.convert(frames, f0_hz, target, _blocks(len(frames)))
    return map(_unclipped, vocoder.render(f0_hz, blocks))


def pause_after(job: Utterance) -> Floats:
    """The silence behind a job: it belongs to what was said, so that the next item can start at once."""
    end = _CLOSING_MARKS.sub("", job.text)[-1:]
    return silence(PAUSES_SECONDS.get(end, JOIN_SECONDS) / job.parameters.speed)


def silence(seconds: float) -> Floats:
    return np.zeros(int(seconds * SAMPLE_RATE_HZ), np.float32)


def _trimmed(frames: Frames) -> Frames:
    """The frames without the silence at both ends."""
    magnitudes = np.maximum(np.where(frames.voiced, frames.harmonic, frames.residual), frames.residual)
    loudness = magnitudes.max(axis=0)
    heard = np.flatnonzero(loudness > np.percentile(loudness, 90) - _QUIET_BELOW_LOUD)
    return frames[max(0, heard[0] - _KEEP_BEFORE) : heard[-1] + 1 + _KEEP_AFTER]


def _blocks(frame_count: int) -> Iterator[slice]:
    start, size = 0, FIRST_BLOCK_FRAMES
    while start < frame_count:
        # A remnant under half a block joins the block before it.
        end = start + size if frame_count - start - size > size // 2 else frame_count
        yield slice(start, end)
        start, size = end, BLOCK_FRAMES


def _unclipped(samples: Floats) -> Floats:
    """The samples within (-1, 1): each bends on its own, so stretches join as they were."""
    over = np.abs(samples) - _KNEE
    if over.max(initial=0) <= 0:
        return samples
    room = 1 - _KNEE
    bent = np.sign(samples) * (_KNEE + room * np.tanh(over / room))
    return np.asarray(np.where(over > 0, bent, samples), np.float32)
