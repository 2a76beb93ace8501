from __future__ import annotations

import numpy as np
import pytest

from tests.server.audio.sounds import voice
from timbre_server.audio.quantisation import to_int16
from timbre_server.audio.voicing import voiced_seconds
from timbre_server.domain.pcm import Samples


def voiced(samples: Samples) -> float:
    return voiced_seconds(to_int16(samples), 24_000)


def test_silence_holds_no_voice() -> None:
    assert voiced(np.zeros(48_000, dtype=np.float32)) == 0.0


def test_faint_noise_holds_hardly_any_voice() -> None:
    noise = 0.03 * np.random.default_rng(1).standard_normal(240_000)
    assert voiced(noise.astype(np.float32)) < 0.5  # of 10 s; the least sure mode counts 6


def test_a_voice_between_pauses_counts_and_the_pauses_do_not() -> None:
    pause = np.zeros(2 * 24_000, dtype=np.float32)
    # The detector holds on for some frames behind the last word.
    assert voiced(np.concatenate([pause, voice(3.0), pause])) == pytest.approx(3.0, abs=0.35)


def test_less_than_a_frame_counts_nothing() -> None:
    assert voiced(voice(0.02)) == 0.0
