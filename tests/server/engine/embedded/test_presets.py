from __future__ import annotations

from collections.abc import Callable
from itertools import combinations

import numpy as np
import pytest

from timbre_server.domain.pcm import Samples
from timbre_server.domain.voice import Features
from timbre_server.engine.embedded.analysis import Analysis, analyse
from timbre_server.engine.embedded.engine import EmbeddedEngine
from timbre_server.engine.embedded.extraction import FEATURE_SPEC

OPENAI_NAMES = "alloy ash ballad coral echo fable onyx nova sage shimmer verse marin cedar".split()  # noqa: SIM905 - a line of names
TEXT = "She had your dark suit in greasy wash water all year."


@pytest.fixture(scope="module")
def spoken(engine: EmbeddedEngine, speak: Callable[..., Samples]) -> dict[str, Analysis]:
    return {name: analyse(speak(TEXT, features)) for name, features in engine.preset_voices().items()}


def test_all_of_openais_names_are_there(engine: EmbeddedEngine) -> None:
    assert sorted(engine.preset_voices()) == sorted(OPENAI_NAMES)


def test_presets_are_features_as_any(engine: EmbeddedEngine) -> None:
    for features in engine.preset_voices().values():
        assert {name: array.dtype.name for name, array in features.items()} == {
            name: spec.dtype for name, spec in FEATURE_SPEC.items()
        }
        assert not any(array.flags.writeable for array in features.values())


def test_every_pair_can_be_told_apart(spoken: dict[str, Analysis]) -> None:
    for (one, first), (other, second) in combinations(spoken.items(), 2):
        semitones = 12 * abs(first.log_f0[0] - second.log_f0[0]) / np.log(2)
        colours = [spoken.mean_envelopes()[0] - spoken.mean_envelopes()[0].mean() for spoken in (first, second)]
        decibels = float(np.sqrt(np.mean(np.square(colours[0] - colours[1])))) * 20 / np.log(10)
        # A listener hears 0.5 semitones and 1 dB; each pair has more than that of both together.
        assert semitones / 0.5 + decibels / 1.0 > 3, (one, other, semitones, decibels)
        assert semitones > 0.3, (one, other)


def test_low_voices_are_low_and_high_ones_high(spoken: dict[str, Analysis]) -> None:
    hz = {name: float(np.exp(each.log_f0[0])) for name, each in spoken.items()}
    assert max(hz[name] for name in ("onyx", "cedar", "echo", "ash")) < 140
    assert min(hz[name] for name in ("alloy", "coral", "nova", "shimmer", "marin")) > 165


def test_alloy_is_the_base_voice(engine: EmbeddedEngine, alloy: Features) -> None:
    assert engine._loaded is not None
    assert alloy["f0_stats"][0] == pytest.approx(np.exp(engine._loaded.base.log_f0_median), rel=1e-5)
    assert alloy["warp"][0] == 1.0
