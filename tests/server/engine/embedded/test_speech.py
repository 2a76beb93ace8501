from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest

from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import SpeechParameters
from timbre_server.domain.voice import Features
from timbre_server.engine.embedded import speech
from timbre_server.engine.embedded.analysis import Analysis, analyse
from timbre_server.ports import Utterance

TEXT = "The harbour was quiet when we arrived, and the boats lay still in the morning light."
Speak = Callable[..., Samples]


@pytest.fixture(scope="module")
def measured(speak: Speak, voices: dict[str, Features]) -> Callable[..., Analysis]:
    return lambda **wishes: analyse(speak(TEXT, voices["allison-female"], **wishes))


def semitones(one: Analysis, other: Analysis) -> float:
    return 12 * (one.log_f0[0] - other.log_f0[0]) / float(np.log(2))


@pytest.mark.parametrize("speed", [0.5, 0.75, 1.2, 1.5, 2.0])
def test_speed_changes_duration_and_not_pitch(measured: Callable[..., Analysis], speed: float) -> None:
    plain, paced = measured(), measured(speed=speed)
    assert len(plain.f0_hz) / len(paced.f0_hz) == pytest.approx(speed, rel=0.08)
    assert abs(semitones(paced, plain)) < 1.0


@pytest.mark.parametrize("shift", [-12.0, -4.0, 4.0])
def test_pitch_changes_f0_and_not_duration(measured: Callable[..., Analysis], shift: float) -> None:
    plain, shifted = measured(), measured(pitch_semitones=shift)
    assert semitones(shifted, plain) == pytest.approx(shift, abs=1.0)
    assert len(shifted.f0_hz) == len(plain.f0_hz)


@pytest.mark.parametrize("shift", [-8.0, 4.0])
def test_pitch_leaves_the_level_nearly_alone(measured: Callable[..., Analysis], shift: float) -> None:
    assert measured(pitch_semitones=shift).level_dbfs == pytest.approx(measured().level_dbfs, abs=3)


def test_emotions_differ_as_their_numbers_say(measured: Callable[..., Analysis]) -> None:
    neutral, happy, sad, angry, calm = (
        measured(emotion=emotion) for emotion in ("neutral", "happy", "sad", "angry", "calm")
    )
    assert semitones(happy, neutral) > 1
    assert semitones(sad, neutral) < -1
    assert len(sad.f0_hz) > len(calm.f0_hz) > len(neutral.f0_hz) > len(happy.f0_hz)
    assert happy.log_f0[1] > 1.15 * neutral.log_f0[1]
    assert sad.log_f0[1] < 0.85 * neutral.log_f0[1]
    assert angry.level_dbfs > neutral.level_dbfs + 2 > sad.level_dbfs + 4
    brightness = [float(np.diff(each.mean_envelopes()[0][[10, 40]])[0]) for each in (angry, neutral, sad)]
    assert brightness == sorted(brightness, reverse=True)


def test_another_seed_is_another_take_of_the_same_words(measured: Callable[..., Analysis]) -> None:
    plain, take = measured(), measured(seed=5)
    assert not np.array_equal(plain.f0_hz[:100], take.f0_hz[:100])
    assert abs(semitones(take, plain)) < 1
    assert len(take.f0_hz) == pytest.approx(len(plain.f0_hz), rel=0.05)


@pytest.mark.parametrize(
    ("said", "seconds"), [("Yes.", 0.35), ('"Yes!"', 0.35), ("Yes,", 0.15), ("yes", 0.02), ("“Yes…”", 0.45)]
)
def test_the_pause_behind_an_item_follows_its_last_sign(alloy: Features, said: str, seconds: float) -> None:
    assert len(speech.pause_after(Utterance(said, alloy))) == int(seconds * 24_000)


def test_pauses_shrink_with_speed(alloy: Features) -> None:
    fast = Utterance("Yes.", alloy, SpeechParameters(speed=2.0))
    assert len(speech.pause_after(fast)) == int(0.175 * 24_000)


def test_speech_starts_and_ends_with_little_silence(speak: Speak, alloy: Features) -> None:
    heard = np.flatnonzero(np.abs(speak(TEXT, alloy)) > 0.01)
    assert heard[0] < 0.15 * 24_000
    assert len(speak(TEXT, alloy)) - heard[-1] < 0.25 * 24_000


def test_nothing_clicks_at_the_joins_of_stretches_and_items(speak: Speak, voices: dict[str, Features]) -> None:
    samples = speak(TEXT + " " + TEXT, voices["librivox-male"])
    # A click is a second difference far out of the run of those around it.
    bend = np.abs(np.diff(samples, 2))
    loudest_around = np.lib.stride_tricks.sliding_window_view(np.pad(bend, 24), 49)
    lone = bend > 12 * np.median(loudest_around, axis=1) + 0.05
    assert lone.mean() < 1e-3


def test_loud_samples_bend_and_never_reach_full_scale() -> None:
    bent = speech._unclipped(np.asarray([0.0, 0.5, -0.8, 1.0, -3.0], np.float32))
    assert bent[:3] == pytest.approx([0.0, 0.5, -0.8])
    assert 0.9 < bent[3] < 1
    assert -1 <= bent[4] < -0.99


@pytest.mark.parametrize("count", [1, 39, 40, 60, 61, 200, 1500])
def test_blocks_cover_all_frames_once(count: int) -> None:
    blocks = list(speech._blocks(count))
    assert [frame for block in blocks for frame in range(block.start, block.stop)] == list(range(count))
    assert max(block.stop - block.start for block in blocks) <= 1.5 * speech.BLOCK_FRAMES
