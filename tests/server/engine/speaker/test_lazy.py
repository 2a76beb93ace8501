from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest

from tests.quality.recordings import load
from timbre_server.engine.speaker import SpeakerEncoder, lazy
from timbre_server.engine.speaker.lazy import LazySpeakerVerifier


def test_the_first_uses_share_one_encoder(encoder: SpeakerEncoder, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[SpeakerEncoder] = []

    class Counted(SpeakerEncoder):
        @classmethod
        def load(cls, threads: int = 1) -> SpeakerEncoder:
            loaded.append(encoder)
            return encoder

    monkeypatch.setattr(lazy, "SpeakerEncoder", Counted)
    verifier = LazySpeakerVerifier()
    assert not loaded
    with ThreadPoolExecutor(4) as pool:
        vectors = list(pool.map(verifier.embed, [load("librivox-male")] * 4))
    assert len(loaded) == 1
    assert all(np.array_equal(vector, vectors[0]) for vector in vectors)


def test_it_answers_as_the_encoder_does(encoder: SpeakerEncoder) -> None:
    verifier, pcm = LazySpeakerVerifier(), load("allison-female")
    assert verifier.threshold == encoder.threshold
    assert np.array_equal(verifier.embed(pcm), encoder.embed(pcm))
