"""Is every job of a batch spoken as the library speaks it alone?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: make test-torch")

import torch

from tests.server.engine.pocket_tts import tiny_checkpoint
from tests.server.engine.speech import a_reference, left, nobody_left
from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import SpeechParameters
from timbre_server.domain.voice import Features
from timbre_server.engine.pocket_tts.engine import PocketTtsEngine
from timbre_server.engine.pocket_tts.generation import seed_of
from timbre_server.ports import Piece, Utterance

SHORT = "Glue it."
TEXT = "The birch canoe slid on the smooth planks."
LONG = f"{TEXT} It is easy to tell the depth of a well. These days a chicken leg is a rare dish."
TOLERANCE = 1e-5
GREEDY = {"do_sample": False, "eos_threshold": 1e9}


@pytest.fixture(scope="module")
def voices(engine: PocketTtsEngine) -> list[Features]:
    """Of references that last 4 to 12 s, so that prompts of a batch are padded."""
    return [engine.encode([a_reference(seconds, hertz=hertz)])[0] for seconds, hertz in ((4, 110), (12, 220), (7, 160))]


def pieces_of(engine: PocketTtsEngine, *jobs: Utterance, cancelled: Callable[[int], bool] = nobody_left) -> list[Piece]:
    return list(engine.synthesize(jobs, cancelled))


def said(engine: PocketTtsEngine, *jobs: Utterance, cancelled: Callable[[int], bool] = nobody_left) -> list[Samples]:
    pieces = pieces_of(engine, *jobs, cancelled=cancelled)
    return [np.concatenate([piece.samples for piece in pieces if piece.index == index]) for index in range(len(jobs))]


def in_the_librarys_words(engine: PocketTtsEngine, text: str, voice: Features) -> Samples:
    """The same job by ``generate`` of transformers, and its codec in one go."""
    model = engine._ready().model
    processor = model.processor
    rendered = processor.apply_chat_template(
        [{"role": "user", "content": [{"type": "audio"}, {"type": "text", "text": text}]}]
    )
    latents = torch.from_numpy(np.array(voice["latents"]))
    inputs = processor(text=[rendered], audio_prompt_latents=[latents], return_tensors="pt")
    with torch.inference_mode():
        out = model.language_model.generate(**inputs, return_dict_in_generate=True, use_cache=True)
        samples = model.codec.decode(out.audio_latents).audio_values[0, 0].clamp(-1, 1).numpy().copy()
    samples[: len(model.fade_in)] *= model.fade_in
    return samples


@pytest.mark.parametrize(
    "generation",
    [
        GREEDY,
        {"do_sample": False, "eos_threshold": -1e9},
        {"do_sample": False, "eos_threshold": -1e9, "min_frames_before_eos": 20, "num_flow_steps": 3},
    ],
    ids=["no end", "ends at once", "ends late, three flow steps"],
)
def test_a_job_is_what_the_library_says(tmp_path: Path, generation: Mapping[str, object]) -> None:
    engine = PocketTtsEngine(
        {"path": str(tiny_checkpoint.save(tmp_path, generation=generation)), "device": "cpu", "threads": 1}
    )
    engine.load()
    voice = engine.encode([a_reference(5.0)])[0]
    for text in (SHORT, TEXT):
        ours, theirs = said(engine, Utterance(text, voice))[0], in_the_librarys_words(engine, text, voice)
        assert ours.shape == theirs.shape
        assert np.abs(ours - theirs).max() <= TOLERANCE


def test_each_job_of_a_batch_is_what_it_is_alone(engine: PocketTtsEngine, voices: list[Features]) -> None:
    jobs = [
        Utterance(SHORT, voices[1]),
        Utterance(LONG, voices[0], SpeechParameters(seed=5)),
        Utterance(TEXT, voices[2]),
        Utterance(TEXT, voices[1], SpeechParameters(seed=5)),
        Utterance(SHORT, voices[0]),
    ]
    for job, together in zip(jobs, said(engine, *jobs), strict=True):
        alone = said(engine, job)[0]
        assert together.shape == alone.shape
        assert np.abs(together - alone).max() <= TOLERANCE


def test_padding_is_never_heard(engine: PocketTtsEngine, voices: list[Features]) -> None:
    """What stands in the places that pad a short prompt changes not one bit."""
    jobs = [Utterance(SHORT, voices[0]), Utterance(LONG, voices[1])]
    before = said(engine, *jobs)
    model = engine._ready().model
    embedding = model.language_model.get_input_embeddings().weight
    old = embedding[model.pad_token].clone()
    try:
        with torch.no_grad():
            embedding[model.pad_token] = 100.0 * torch.randn(len(old), generator=torch.Generator().manual_seed(3))
        after = said(engine, *jobs)
    finally:
        with torch.no_grad():
            embedding[model.pad_token] = old

    assert all(np.array_equal(one, other) for one, other in zip(before, after, strict=True))


def test_the_seed_is_heard_and_so_is_the_voice(engine: PocketTtsEngine, voices: list[Features]) -> None:
    usual = said(engine, Utterance(TEXT, voices[0]))[0]
    for job in (Utterance(TEXT, voices[0], SpeechParameters(seed=1)), Utterance(TEXT, voices[2])):
        assert np.abs(said(engine, job)[0] - usual).max() > 1e-3


def test_the_noise_has_the_temperature_as_its_variance(engine: PocketTtsEngine) -> None:
    noise = engine._ready().model.noise(7, 5_000)  # 40,000 values: the deviation is known to 0.4 %

    assert noise.shape == (5_000, 8)
    assert float(noise.std()) == pytest.approx(0.7**0.5, rel=0.02)


def test_sentences_of_one_request_do_not_share_their_noise() -> None:
    seeds = {seed_of(text, seed) for text in (SHORT, TEXT) for seed in (0, 1)}

    assert len(seeds) == 4
    assert seed_of(TEXT, 1) in seeds


def test_pieces_come_early_and_grow(engine: PocketTtsEngine, voices: list[Features]) -> None:
    frames = [len(piece.samples) // 1920 for piece in pieces_of(engine, Utterance(LONG, voices[0]))]

    assert frames[:7] == [2, 3, 4, 6, 10, 15, 16]
    assert set(frames[7:-1]) <= {16}


def test_a_job_that_ends_leaves_the_batch_at_once(engine: PocketTtsEngine, voices: list[Features]) -> None:
    rows: list[int] = []
    model = engine._ready().model.language_model
    hook = model.register_forward_pre_hook(
        lambda _module, _args, kwargs: rows.append(len(kwargs["input_ids"])), with_kwargs=True
    )
    try:
        short, _ = said(engine, Utterance(SHORT, voices[0]), Utterance(LONG, voices[1]))
    finally:
        hook.remove()

    assert rows.count(2) == len(short) // 1920
    assert rows == sorted(rows, reverse=True)


def test_a_job_that_was_left_costs_no_further_step(engine: PocketTtsEngine, voices: list[Features]) -> None:
    asked: list[int] = []

    def gone_after_ten_frames(index: int) -> bool:
        asked.append(index)
        return index == 0 and asked.count(0) > 10

    pieces = pieces_of(engine, Utterance(TEXT, voices[0]), Utterance(TEXT, voices[1]), cancelled=gone_after_ten_frames)

    assert sum(len(piece.samples) for piece in pieces if piece.index == 0) // 1920 == 9  # 2 + 3 + 4; one is pending
    assert [piece.last for piece in pieces if piece.index == 0] == [False, False, False, True]
    assert asked.count(0) == 11


def test_a_batch_that_everybody_left_ends(engine: PocketTtsEngine, voices: list[Features]) -> None:
    pieces = pieces_of(engine, Utterance(TEXT, voices[0]), Utterance(TEXT, voices[1]), cancelled=left(0, 1))

    assert [(piece.index, len(piece.samples), piece.last) for piece in pieces] == [(0, 0, True), (1, 0, True)]


def test_words_of_the_prompts_own_language_are_only_text(engine: PocketTtsEngine, voices: list[Features]) -> None:
    harmless = said(engine, Utterance("Glue   it.", voices[0]))[0]
    for token in ("<|voice|>", "<|audio_begin|>", "<|latent|>", "<|pad|>"):
        assert len(said(engine, Utterance(f"Glue {token} it.", voices[0]))[0]) == len(harmless)
    nested = said(engine, Utterance("Glue <|voi<|voice|>ce|> it.", voices[0]))[0]
    assert len(nested) > 0
