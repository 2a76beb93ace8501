from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pytest

from timbre_server.domain.pcm import Samples
from timbre_server.domain.voice import Features
from timbre_server.engine.embedded import conversion, envelope
from timbre_server.engine.embedded.acoustic import AcousticModel
from timbre_server.engine.embedded.analysis import analyse
from timbre_server.engine.embedded.baseline import Baseline
from timbre_server.engine.embedded.engine import EmbeddedEngine
from timbre_server.engine.embedded.frames import Frames
from timbre_server.engine.embedded.prosody import Prosody

TEXT = "The harbour was quiet when we arrived, and the boats lay still in the morning light."


@pytest.fixture(scope="session")
def base(engine: EmbeddedEngine) -> Baseline:
    assert engine._loaded is not None
    return engine._loaded.base


@pytest.fixture(scope="session")
def frames(model: AcousticModel) -> Frames:
    return model.frames(model.phonemes(TEXT)[0])


def test_the_base_voice_converts_to_itself(alloy: Features, base: Baseline) -> None:
    own = conversion.conversion_to(alloy, base, Prosody())
    assert own.target_log_f0 == pytest.approx(own.source_log_f0, abs=1e-6)
    assert own.range == pytest.approx(1, abs=1e-6)
    assert own.warp == 1.0
    assert np.ptp(own.voiced_gain) < 0.01


@pytest.mark.parametrize("semitones", [-5.0, 7.0])
def test_pitch_moves_by_the_asked_semitones(alloy: Features, base: Baseline, frames: Frames, semitones: float) -> None:
    plain, moved = (
        conversion.converted_f0(frames, conversion.conversion_to(alloy, base, Prosody(semitones=shift)))
        for shift in (0.0, semitones)
    )
    shift = 12 * np.log2(np.median(moved[moved > 0]) / np.median(plain[plain > 0]))
    assert shift == pytest.approx(semitones, abs=0.05)


def test_pitch_stays_within_what_a_voice_can_do(alloy: Features, base: Baseline, frames: Frames) -> None:
    for semitones in (-60.0, 60.0):
        f0_hz = conversion.converted_f0(frames, conversion.conversion_to(alloy, base, Prosody(semitones=semitones)))
        voiced = f0_hz[f0_hz > 0]
        assert conversion.LOWEST_F0_HZ <= voiced.min() <= voiced.max() <= conversion.HIGHEST_F0_HZ


def test_gains_are_bounded_whatever_the_recording(alloy: Features, base: Baseline) -> None:
    wild = {**alloy, "cep_mean": alloy["cep_mean"] + 30}
    found = conversion.conversion_to(wild, base, Prosody())
    assert np.ptp(found.voiced_gain) <= 2 * conversion.MAX_GAIN + 0.01


def test_only_lower_voices_are_warped() -> None:
    assert conversion.warp_for(np.log(300), np.log(200)) == 1.0
    assert conversion.SMALLEST_WARP < conversion.warp_for(np.log(120), np.log(200)) < 1.0
    assert conversion.warp_for(np.log(50), np.log(200)) == conversion.SMALLEST_WARP


def test_a_warp_lowers_resonances(alloy: Features, base: Baseline, frames: Frames) -> None:
    own = conversion.conversion_to(alloy, base, Prosody())
    longer = replace(own, warp=0.9)
    f0_hz = conversion.converted_f0(frames, own)
    (plain,), (warped,) = (
        list(conversion.convert(frames, f0_hz, way, iter([slice(0, len(frames))]))) for way in (own, longer)
    )
    moved = warped.harmonic[450] - plain.harmonic[500]
    assert np.ptp(moved) < 1e-3  # the same course over time, at another level


@pytest.mark.parametrize("name", ["librivox-male", "allison-female", "carlo-male-italian", "alloy"])
def test_every_voice_is_equally_loud(
    engine: EmbeddedEngine, voices: dict[str, Features], speak: Callable[..., Samples], name: str
) -> None:
    features = voices.get(name) or engine.preset_voices()[name]
    level = analyse(speak(TEXT, features)).level_dbfs
    assert level == pytest.approx(conversion.TARGET_DBFS, abs=4)


def test_tilt_is_a_slope_about_one_kilohertz() -> None:
    hz = np.asarray([500, 1000, 2000, 4000], np.float32)
    assert conversion.tilt(3.0, hz) * 20 / np.log(10) == pytest.approx([-3, 0, 3, 6], abs=1e-4)


def test_the_rumble_of_a_room_is_not_given_to_consonants(alloy: Features, base: Baseline) -> None:
    rumbling = alloy["cep_mean"].copy()
    rumbling[1] += np.where(envelope.BAND_HZ < 300, 3, 0).astype(np.float32) @ envelope.COSINES.T
    plain, noisy = (
        conversion.conversion_to({**alloy, "cep_mean": means}, base, Prosody())
        for means in (alloy["cep_mean"], rumbling)
    )
    assert noisy.unvoiced_gain[5] == pytest.approx(plain.unvoiced_gain[5], abs=0.3)  # at 100 Hz
