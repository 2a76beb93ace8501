from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pytest
import soxr

from tests.quality import recordings
from timbre_server.domain.pcm import Pcm, Samples
from timbre_server.domain.speech import SpeechParameters
from timbre_server.domain.voice import CANONICAL_SAMPLE_RATE_HZ, Features, Reference
from timbre_server.engine.embedded import EmbeddedEngine
from timbre_server.engine.embedded.acoustic import AcousticModel
from timbre_server.ports import Utterance

Speak = Callable[..., Samples]


@pytest.fixture(scope="session")
def engine() -> Iterator[EmbeddedEngine]:
    engine = EmbeddedEngine()
    engine.load()
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def model(engine: EmbeddedEngine) -> AcousticModel:
    assert engine._loaded is not None
    return engine._loaded.model


@pytest.fixture(scope="session")
def alloy(engine: EmbeddedEngine) -> Features:
    return engine.preset_voices()["alloy"]


@pytest.fixture(scope="session")
def speak(engine: EmbeddedEngine) -> Speak:
    """Says a text in a voice, without the pauses behind its items."""

    def speak(text: str, features: Features, **parameters: object) -> Samples:
        wishes = SpeechParameters(**parameters)  # type: ignore[arg-type]
        jobs = [Utterance(item, features, wishes) for item in engine.split(text)]
        pieces = [piece for job in jobs for piece in engine.synthesize([job], lambda _: False)]
        return np.concatenate([piece.samples for piece in pieces if not piece.last])

    return speak


@pytest.fixture(scope="session")
def references() -> dict[str, Reference]:
    """The shipped human voices as canonical references."""
    return {name: reference(name) for name in ("librivox-male", "allison-female", "carlo-male-italian")}


@pytest.fixture(scope="session")
def voices(engine: EmbeddedEngine, references: dict[str, Reference]) -> dict[str, Features]:
    return {name: engine.encode([each])[0] for name, each in references.items()}


def reference(name: str) -> Reference:
    pcm = recordings.load(name)
    samples = soxr.resample(pcm.samples, pcm.sample_rate_hz, CANONICAL_SAMPLE_RATE_HZ).astype(np.float32)
    return Reference(Pcm(samples, CANONICAL_SAMPLE_RATE_HZ), digest=name)
