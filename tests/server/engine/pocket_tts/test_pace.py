"""Do predicted times follow what was measured?"""

from __future__ import annotations

import pytest

from timbre_server.engine.pocket_tts.pace import Pace

PACE = Pace(per_prompt_position=0.002, per_frame=0.04, per_reference_second=0.1, frames_per_second=12.5)


def test_a_job_costs_its_prompt_and_its_frames_and_a_quarter_more() -> None:
    text = "x" * 140  # 10 s of speech: 125 frames; 125 frames of voice and 35 tokens before
    assert PACE.synthesis_seconds(text) == pytest.approx(1.25 * (160 * 0.002 + 125 * 0.04))


def test_an_extraction_costs_what_its_seconds_cost_and_a_quarter_more() -> None:
    assert PACE.extraction_seconds(10.0) == pytest.approx(1.25)


def test_no_cost_is_zero_whatever_the_clock_said() -> None:
    still = Pace(0.0, 0.0, 0.0, 12.5)
    assert still.synthesis_seconds("word") > 0
    assert still.extraction_seconds(3.0) > 0
