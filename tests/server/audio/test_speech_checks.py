from __future__ import annotations

import math

import numpy as np
import pytest

from tests.server.audio.sounds import tone, voice
from timbre_server.audio.canonical import canonical
from timbre_server.audio.speech_checks import check_speech, clipped_share, speech_level_dbfs
from timbre_server.domain.pcm import Pcm, Samples
from timbre_server.errors import AudioClipped, AudioRejected, AudioSilent, AudioTooShort


def check(samples: Samples, voiced: float = 5.0) -> None:
    check_speech(canonical(samples, 24_000), voiced, min_voiced_seconds=3.0, param="recording")


def test_a_clean_voice_passes() -> None:
    check(voice(4.0))


def test_a_soft_voice_passes() -> None:
    check(0.06 * voice(4.0))  # 24 dB less


@pytest.mark.parametrize("gain", [0.0, 0.001], ids=["nothing", "60 dB too soft"])
def test_silence_is_refused(gain: float) -> None:
    with pytest.raises(AudioSilent) as caught:
        check(gain * voice(4.0))
    assert caught.value.param == "recording"


def test_one_click_does_not_make_silence_loud() -> None:
    samples = np.zeros(48_000, dtype=np.float32)
    samples[24_000:24_100] = 0.9
    with pytest.raises(AudioSilent):
        check(samples)


def test_an_overdriven_voice_is_refused() -> None:
    with pytest.raises(AudioClipped):
        check(12.0 * voice(4.0))


def test_a_voice_that_touches_full_scale_passes() -> None:
    samples = voice(4.0)
    check(samples / np.abs(samples).max())


def test_single_samples_at_full_scale_are_not_clipping_and_runs_are() -> None:
    samples = np.zeros(100, dtype=np.float32)
    samples[::2] = 1.0
    assert clipped_share(samples) == 0.0
    samples[10:20] = -1.0
    assert clipped_share(samples) == pytest.approx(0.1, abs=0.02)
    assert clipped_share(np.ones(50, dtype=np.float32)) == 1.0
    assert clipped_share(samples[:0]) == 0.0


def test_too_little_speech_is_refused_with_both_numbers() -> None:
    with pytest.raises(AudioTooShort, match=r"2\.9 s .* 3\.0 s"):
        check(voice(4.0), voiced=2.97)
    check(voice(4.0), voiced=3.0)


def test_the_fault_to_mend_first_is_named_first() -> None:
    # Silence has no voiced second either, but "record longer" would not help.
    with pytest.raises(AudioSilent):
        check(np.zeros(24_000, dtype=np.float32), voiced=0.0)


def test_messages_name_no_field_of_their_own() -> None:
    with pytest.raises(AudioRejected) as caught:
        check_speech(canonical(voice(1.0), 24_000), 0.5, min_voiced_seconds=3.0)
    assert caught.value.param == "audio_sample"


def test_level_is_that_of_the_loud_part() -> None:
    samples = np.concatenate([np.zeros(24_000, dtype=np.float32), tone(100, 0.8, level=0.1)])
    # A sine of amplitude 0.1 has the power 0.005.
    assert speech_level_dbfs(Pcm(samples, 24_000)) == pytest.approx(10 * math.log10(0.005), abs=0.1)
    assert speech_level_dbfs(Pcm(samples[:0], 24_000)) == -math.inf
