from __future__ import annotations

import numpy as np
import pytest
import soxr

from tests.quality.judge import SpeakerJudge, cepstra
from tests.quality.recordings import load
from timbre_server.domain.pcm import Pcm

SPEAKERS = ("librivox-male", "allison-female", "carlo-male-italian")


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_another_take_is_given_to_its_speaker(judge: SpeakerJudge, speaker: str) -> None:
    assert judge.nearest(load(f"{speaker}-other-take")) == speaker


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_the_right_speaker_leads_clearly(judge: SpeakerJudge, speaker: str) -> None:
    scores = judge.log_likelihoods(load(f"{speaker}-other-take"))
    own = scores.pop(speaker)
    # Measured: 3.5 nats per frame or more; speakers who are guessed differ by well below one.
    assert own - max(scores.values()) > 1.0


def test_a_second_fit_says_the_same(judge: SpeakerJudge) -> None:
    again = SpeakerJudge.fit({speaker: [load(speaker)] for speaker in SPEAKERS})
    take = load("allison-female-other-take")
    assert again.log_likelihoods(take) == judge.log_likelihoods(take)


def test_the_level_of_a_recording_does_not_count() -> None:
    loud = load("librivox-male")
    quiet = Pcm(loud.samples * np.float32(0.125), loud.sample_rate_hz)
    assert np.allclose(cepstra(quiet), cepstra(loud), atol=0.1)


def test_the_sample_rate_of_a_recording_does_not_count(judge: SpeakerJudge) -> None:
    take = load("allison-female-other-take")
    faster = Pcm(soxr.resample(take.samples, take.sample_rate_hz, 24_000), 24_000)
    before, after = judge.log_likelihoods(take), judge.log_likelihoods(faster)
    assert all(abs(before[name] - after[name]) < 0.5 for name in before)
