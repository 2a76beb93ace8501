"""Does speech in a voice sound like its reference, and is it understood? Judged by parts that are not the engine's."""

from __future__ import annotations

from collections.abc import Callable
from itertools import permutations

import numpy as np
import pytest

from tests.quality import recordings
from tests.quality.judge import SpeakerJudge
from tests.quality.sentences import SENTENCES
from tests.quality.wer import needs_recogniser, transcribe, word_error_rate
from timbre_server.domain.pcm import Pcm, Samples
from timbre_server.domain.voice import Features
from timbre_server.engine.embedded.analysis import analyse
from timbre_server.engine.embedded.engine import EmbeddedEngine

NAMES = ("librivox-male", "allison-female", "carlo-male-italian")
ENGLISH_NAMES = NAMES[:2]
"""The encoder weighs the language too, and puts the Italian speaker's English nearer to an English man."""
pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def spoken(voices: dict[str, Features], speak: Callable[..., Samples]) -> dict[str, list[Pcm]]:
    return {name: [Pcm(speak(each, voices[name]), 24_000) for each in SENTENCES] for name in NAMES}


@pytest.fixture(scope="module")
def joined(spoken: dict[str, list[Pcm]]) -> dict[str, Pcm]:
    return {name: Pcm(np.concatenate([each.samples for each in takes]), 24_000) for name, takes in spoken.items()}


@pytest.fixture(scope="module")
def heard(joined: dict[str, Pcm]) -> dict[str, dict[str, float]]:
    """By voice, how well each reference's speaker explains it to a judge who knows two takes of everyone."""
    judge = SpeakerJudge.fit({name: [recordings.load(name), recordings.load(f"{name}-other-take")] for name in NAMES})
    return {name: judge.log_likelihoods(pcm) for name, pcm in joined.items()}


@needs_recogniser
@pytest.mark.parametrize("name", NAMES)
def test_a_recogniser_understands_every_voice(spoken: dict[str, list[Pcm]], name: str) -> None:
    rates = [
        word_error_rate(sentence, transcribe(take)) for sentence, take in zip(SENTENCES, spoken[name], strict=True)
    ]
    # Measured: 0.02 to 0.04; the recogniser itself errs on 0.03 of the unconverted base voice.
    assert np.mean(rates) < 0.15


@pytest.mark.parametrize(("mine", "other"), list(permutations(NAMES, 2)))
def test_an_independent_judge_hears_the_voice_move_to_its_reference(
    heard: dict[str, dict[str, float]], mine: str, other: str
) -> None:
    own, swapped = heard[mine], heard[other]
    # Swapping the reference swaps which speaker is preferred: the margin changes in the right direction.
    assert own[mine] - own[other] > swapped[mine] - swapped[other] + 0.5
    assert own[mine] > swapped[mine]


@pytest.mark.parametrize(("mine", "other"), list(permutations(ENGLISH_NAMES, 2)))
def test_the_speaker_encoder_prefers_the_voice_of_the_reference(
    engine: EmbeddedEngine, joined: dict[str, Pcm], mine: str, other: str
) -> None:
    assert engine._loaded is not None
    embed = engine._loaded.verifier.embed
    take = embed(recordings.load(f"{mine}-other-take"))  # words that the engine has never heard
    assert float(embed(joined[mine]) @ take) > float(embed(joined[other]) @ take)


def test_pitch_follows_the_references_in_value_and_order(joined: dict[str, Pcm], voices: dict[str, Features]) -> None:
    medians = {name: float(np.exp(analyse(pcm.samples).log_f0[0])) for name, pcm in joined.items()}
    wanted = {name: float(voices[name]["f0_stats"][0]) for name in NAMES}
    assert all(medians[name] == pytest.approx(wanted[name], rel=0.25) for name in NAMES)
    assert sorted(NAMES, key=medians.__getitem__) == sorted(NAMES, key=wanted.__getitem__)
