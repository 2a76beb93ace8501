from __future__ import annotations

import numpy as np
import pytest

from timbre_server.engine.embedded import tempo
from timbre_server.engine.embedded.acoustic import AcousticModel
from timbre_server.engine.embedded.frames import BINS, Frames


def ramp(count: int) -> Frames:
    rows = np.tile(np.arange(count, dtype=np.float32), (BINS, 1))
    return Frames(rows, rows, rows, rows, np.where(np.arange(count) < count // 2, 0, 200).astype(np.float32))


@pytest.mark.parametrize("rate", [0.5, 0.9, 1.3, 2.2])
def test_the_count_follows_the_rate(rate: float) -> None:
    assert len(tempo.stretched(ramp(200), rate)) == round(200 / rate)


def test_content_keeps_its_place() -> None:
    fast = tempo.stretched(ramp(200), 2.0)
    assert fast.harmonic[0] == pytest.approx(np.arange(100) * 2 + 0.5)


def test_voicing_and_phases_are_never_mixed() -> None:
    slow = tempo.stretched(ramp(20), 0.37)
    assert set(slow.f0_hz.tolist()) == {0.0, 200.0}
    assert np.array_equal(slow.residual_phase, np.round(slow.residual_phase))


def test_a_rate_of_one_is_the_frames_themselves() -> None:
    frames = ramp(30)
    assert tempo.stretched(frames, 1.0) is frames


def test_one_frame_survives_any_rate() -> None:
    assert len(tempo.stretched(ramp(1), 2.0)) == 1
    assert len(tempo.stretched(ramp(1), 0.5)) == 2


def test_no_change_asks_for_none() -> None:
    assert tempo.paced(1.0) == (1.0, 1.0)


@pytest.mark.parametrize("speed", [0.425, 0.5, 0.8, 0.92, 1.1, 1.5, 2.0, 2.2])
def test_model_and_stretching_give_the_speed_together(model: AcousticModel, speed: float) -> None:
    text = "We have to leave early tomorrow because the train does not wait."
    (phonemes,) = model.phonemes(text)
    model_speed, rate = tempo.paced(speed)
    count = len(tempo.stretched(model.frames(phonemes, model_speed), rate))
    assert len(model.frames(phonemes)) / count == pytest.approx(speed, rel=0.08)
