from __future__ import annotations

import numpy as np

from timbre_server.domain.voice import Features
from timbre_server.engine.embedded import calibration
from timbre_server.engine.embedded.engine import EmbeddedEngine


def test_the_correction_brings_speech_closer_to_the_reference(
    engine: EmbeddedEngine, voices: dict[str, Features]
) -> None:
    assert engine._loaded is not None
    for features in voices.values():
        plain = {**features, "map_bias": features["map_bias"] * 0}
        before = calibration.missed(plain, engine._loaded.base)
        after = calibration.missed(features, engine._loaded.base)
        # Row 0 is voiced speech; column 0 is loudness, which is set elsewhere.
        assert np.linalg.norm(after[0, 1:]) < 0.9 * np.linalg.norm(before[0, 1:])
        assert np.linalg.norm(after[0, 1:]) < 1.0
