"""Does the engine keep its promises on a GPU?  Needs torch, transformers, numpy, safetensors and pytest, nothing else."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: make test-torch")

import torch

from tests.server.engine.pocket_tts import tiny_checkpoint
from tests.server.engine.speech import a_reference, nobody_left
from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import SpeechParameters
from timbre_server.domain.voice import Features
from timbre_server.engine.pocket_tts.engine import PocketTtsEngine
from timbre_server.errors import EngineOutOfMemory
from timbre_server.ports import Utterance

pytestmark = [
    pytest.mark.gpu,
    pytest.mark.skipif(not torch.cuda.is_available(), reason="torch sees no CUDA device"),
]

TEXTS = ("Glue it.", "The birch canoe slid on the smooth planks.", "It is easy to tell the depth of a well.")
TOLERANCE = 2e-3
"""Kernels of a GPU are chosen by the number of rows, and TF32 may be on."""


@pytest.fixture(scope="module")
def on_cuda() -> Iterator[PocketTtsEngine]:
    made = PocketTtsEngine({"path": str(tiny_checkpoint.shared())})
    made.load()
    yield made
    made.close()


@pytest.fixture(scope="module")
def voices(on_cuda: PocketTtsEngine) -> list[Features]:
    return [on_cuda.encode([a_reference(seconds)])[0] for seconds in (4.0, 9.0)]


def say(engine: PocketTtsEngine, *jobs: Utterance) -> list[Samples]:
    pieces = list(engine.synthesize(jobs, nobody_left))
    return [np.concatenate([piece.samples for piece in pieces if piece.index == index]) for index in range(len(jobs))]


def test_the_first_cuda_device_is_chosen_unasked(on_cuda: PocketTtsEngine) -> None:
    assert on_cuda.descriptor.device == "cuda:0"
    assert on_cuda._ready().model.language_model.device == torch.device("cuda:0")


def test_a_batch_is_what_its_jobs_are_alone(on_cuda: PocketTtsEngine, voices: list[Features]) -> None:
    jobs = [Utterance(text, voice, SpeechParameters(seed=seed)) for seed, text in enumerate(TEXTS) for voice in voices]
    for job, together in zip(jobs, say(on_cuda, *jobs), strict=True):
        alone = say(on_cuda, job)[0]
        assert together.shape == alone.shape
        assert np.abs(together - alone).max() <= TOLERANCE


def test_the_same_seed_says_the_same_as_on_a_cpu(
    on_cuda: PocketTtsEngine, engine: PocketTtsEngine, voices: list[Features]
) -> None:
    here, there = say(on_cuda, Utterance(TEXTS[1], voices[0])), say(engine, Utterance(TEXTS[1], voices[0]))

    assert here[0].shape == there[0].shape
    assert np.abs(here[0] - there[0]).max() <= 10 * TOLERANCE


def test_a_voice_that_lies_on_the_device_is_used_where_it_lies(
    on_cuda: PocketTtsEngine, voices: list[Features]
) -> None:
    model = on_cuda._ready().model
    tensor = torch.from_numpy(np.array(voices[0]["latents"])).to("cuda:0")

    assert model.prompt(TEXTS[0], tensor).voice is tensor
    from_device = say(on_cuda, Utterance(TEXTS[0], {"latents": tensor}))  # type: ignore[dict-item]
    assert np.array_equal(from_device[0], say(on_cuda, Utterance(TEXTS[0], voices[0]))[0])


def test_memory_that_is_not_there_is_told_and_given_back(
    on_cuda: PocketTtsEngine, voices: list[Features], monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = say(on_cuda, Utterance(TEXTS[0], voices[0]))[0]
    before = torch.cuda.memory_allocated()
    model = on_cuda._ready().model
    decode = model.codec.decoder.decoder_seanet.forward

    def greedy(hidden: torch.Tensor) -> torch.Tensor:
        ballast = [torch.empty(1 << 20, device=hidden.device)]
        return decode(torch.empty(1 << 45, device=hidden.device) + ballast[0][0])

    monkeypatch.setattr(model.codec.decoder.decoder_seanet, "forward", greedy)
    with pytest.raises(EngineOutOfMemory):
        say(on_cuda, Utterance(TEXTS[0], voices[0]))
    monkeypatch.undo()

    assert on_cuda.health() is None
    assert np.array_equal(say(on_cuda, Utterance(TEXTS[0], voices[0]))[0], usual)
    assert torch.cuda.memory_allocated() <= before
