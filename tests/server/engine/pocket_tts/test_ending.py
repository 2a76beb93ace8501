"""Does a job end where the model says, and never later than its text allows?"""

from __future__ import annotations

from timbre_server.engine.pocket_tts.ending import Ending, frame_budget

SPEAKS, ENDS = -9.0, 0.0


def frames_of(logits: list[float], *, first_frame: int = 0, tail_frames: int = 0, budget: int = 100) -> int:
    """How many frames a job has whose logits are these, the last one for ever."""
    ending = Ending(threshold=-4.0, first_frame=first_frame, tail_frames=tail_frames, budget=budget)
    while not ending.ends_with(logits[min(ending.frames, len(logits) - 1)]):
        pass
    return ending.frames


def test_the_frame_above_the_threshold_is_the_last() -> None:
    assert frames_of([SPEAKS, SPEAKS, ENDS]) == 3


def test_a_logit_on_the_threshold_goes_on() -> None:
    assert frames_of([-4.0, -4.0, ENDS]) == 3


def test_the_tail_follows_whatever_its_logits_say() -> None:
    assert frames_of([SPEAKS, ENDS, SPEAKS, ENDS, ENDS], tail_frames=2) == 4


def test_the_first_frames_are_not_believed() -> None:
    assert frames_of([ENDS, SPEAKS, SPEAKS, ENDS], first_frame=2) == 4
    assert frames_of([ENDS], first_frame=2) == 3


def test_the_budget_ends_what_does_not_end() -> None:
    assert frames_of([SPEAKS], budget=7) == 7


def test_the_budget_ends_within_the_tail() -> None:
    assert frames_of([SPEAKS, ENDS], tail_frames=9, budget=4) == 4


def test_the_budget_is_a_third_of_a_second_per_token_and_two_seconds() -> None:
    assert frame_budget(0, 12.5) == 25
    assert frame_budget(12, 12.5) == 75
    assert frame_budget(13, 12.5) == 80
