from __future__ import annotations

import subprocess
import sys
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


def test_a_server_that_knows_no_consent_has_no_onnxruntime() -> None:
    """Its import takes 0.1 s of a start, and 19 MiB."""
    program = "import sys, timbre_server.app; print('onnxruntime' in sys.modules)"
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert ran.stdout == "False\n"
