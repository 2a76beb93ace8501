"""Does the neural engine keep its promises on a device, beside the cache's memory there?  Needs transformers too."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: make test-torch")
pytest.importorskip("transformers", reason="needs transformers: make test-torch")

import torch

from tests.server.engine.pocket_tts import tiny_checkpoint
from tests.server.engine.speech import a_reference, nobody_left
from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import SpeechParameters
from timbre_server.domain.voice import Features
from timbre_server.engine.pocket_tts.engine import PocketTtsEngine
from timbre_server.errors import EngineOutOfMemory
from timbre_server.ports import Utterance

pytestmark = pytest.mark.gpu

TEXTS = ("Glue it.", "The birch canoe slid on the smooth planks.", "It is easy to tell the depth of a well.")
TOLERANCE = 2e-3
"""A GPU chooses its kernels by the number of rows, and its convolutions may use TF32, of 10 bits."""
OUT_OF_MEMORY_BYTES = 1 << 50
"""A PiB: more than any device has."""


def loaded(device: str) -> PocketTtsEngine:
    made = PocketTtsEngine({"path": str(tiny_checkpoint.shared()), "device": device})
    made.load()
    return made


@pytest.fixture(scope="module")
def engine(device: str) -> Iterator[PocketTtsEngine]:
    """On the device under test."""
    made = loaded(device)
    yield made
    made.close()


@pytest.fixture(scope="module")
def voices(engine: PocketTtsEngine) -> list[Features]:
    return [engine.encode([a_reference(seconds)])[0] for seconds in (4.0, 9.0)]


def say(engine: PocketTtsEngine, *jobs: Utterance) -> list[Samples]:
    pieces = list(engine.synthesize(jobs, nobody_left))
    return [np.concatenate([piece.samples for piece in pieces if piece.index == index]) for index in range(len(jobs))]


def test_the_first_cuda_device_is_chosen_unasked(cuda: str) -> None:
    assert PocketTtsEngine({"path": str(tiny_checkpoint.shared())}).descriptor.device == "cuda:0"


def test_the_descriptor_names_the_device_that_the_cache_shall_use(engine: PocketTtsEngine, device: str) -> None:
    assert engine._ready().model.language_model.device.type == device.partition(":")[0]
    assert engine.descriptor.device.startswith("cuda:") == device.startswith("cuda")


def test_a_batch_is_what_its_jobs_are_alone(engine: PocketTtsEngine, voices: list[Features]) -> None:
    jobs = [Utterance(text, voice, SpeechParameters(seed=seed)) for seed, text in enumerate(TEXTS) for voice in voices]
    for job, together in zip(jobs, say(engine, *jobs), strict=True):
        alone = say(engine, job)[0]
        assert together.shape == alone.shape
        assert np.abs(together - alone).max() <= TOLERANCE


def test_the_same_seed_says_the_same_as_on_a_cpu(engine: PocketTtsEngine, voices: list[Features]) -> None:
    job = Utterance(TEXTS[1], voices[0], SpeechParameters(seed=3))
    here, there = say(engine, job)[0], say(loaded("cpu"), job)[0]

    assert here.shape == there.shape
    assert np.abs(here - there).max() <= 10 * TOLERANCE


def test_a_voice_that_lies_on_the_device_is_used_where_it_lies(
    engine: PocketTtsEngine, voices: list[Features], device: str
) -> None:
    model = engine._ready().model
    tensor = torch.from_numpy(np.array(voices[0]["latents"])).to(device)

    assert model.prompt(TEXTS[0], tensor).voice is tensor
    from_device = say(engine, Utterance(TEXTS[0], {"latents": tensor}))  # type: ignore[dict-item]
    assert np.array_equal(from_device[0], say(engine, Utterance(TEXTS[0], voices[0]))[0])


def test_memory_that_is_not_there_is_told_and_given_back(
    engine: PocketTtsEngine, voices: list[Features], device: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    usual = say(engine, Utterance(TEXTS[0], voices[0]))[0]
    before = torch.cuda.memory_allocated() if device.startswith("cuda") else 0
    convolutions = engine._ready().model.codec.decoder.decoder_seanet

    def greedy(hidden: torch.Tensor) -> torch.Tensor:
        return torch.empty(OUT_OF_MEMORY_BYTES, dtype=torch.uint8, device=hidden.device)

    with monkeypatch.context() as patched:
        patched.setattr(convolutions, "forward", greedy)
        with pytest.raises(EngineOutOfMemory):
            say(engine, Utterance(TEXTS[0], voices[0]))

    assert engine.health() is None
    assert np.array_equal(say(engine, Utterance(TEXTS[0], voices[0]))[0], usual)
    assert not device.startswith("cuda") or torch.cuda.memory_allocated() <= before


@pytest.mark.parametrize("dtype", ["float16", "bfloat16"])
def test_half_precision_speaks(device: str, voices: list[Features], dtype: str) -> None:
    engine = PocketTtsEngine({"path": str(tiny_checkpoint.shared()), "device": device, "dtype": dtype})
    engine.load()
    said = say(engine, Utterance(TEXTS[1], voices[0]), Utterance(TEXTS[2], voices[1]))

    assert all(np.isfinite(samples).all() and len(samples) for samples in said)
