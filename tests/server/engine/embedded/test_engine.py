from __future__ import annotations

import gc
import resource
import time
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import SpeechParameters
from timbre_server.domain.voice import Features
from timbre_server.engine.embedded import pitch, text
from timbre_server.engine.embedded.acoustic import AcousticModel
from timbre_server.engine.embedded.engine import EmbeddedEngine
from timbre_server.errors import ConfigurationError, EngineError, EngineOutOfMemory
from timbre_server.ports import Piece, Utterance

TEXT = "The harbour was quiet when we arrived, and the boats lay still in the morning light."
Speak = Callable[..., Samples]


def never(_: int) -> bool:
    return False


def by_job(pieces: list[Piece], jobs: int) -> list[Samples]:
    return [np.concatenate([piece.samples for piece in pieces if piece.index == job]) for job in range(jobs)]


@pytest.fixture(scope="module")
def batch(voices: dict[str, Features], alloy: Features) -> list[Utterance]:
    return [
        Utterance(TEXT, alloy),
        Utterance("Yes.", voices["librivox-male"], SpeechParameters(emotion="angry")),
        Utterance("A second voice speaks at the same time.", voices["allison-female"], SpeechParameters(seed=3)),
        Utterance("Slowly now.", voices["carlo-male-italian"], SpeechParameters(speed=0.5)),
    ]


def test_the_descriptor_is_known_before_load() -> None:
    one, other = EmbeddedEngine().descriptor, EmbeddedEngine({"threads": 2}).descriptor
    assert one == other
    assert (one.name, one.model_id, one.revision) == ("embedded", "hibari-tts", "0.2.1")
    assert len(one.encoder_config_hash) == 64


def test_a_constant_of_the_measurement_changes_the_hash(monkeypatch: pytest.MonkeyPatch) -> None:
    before = EmbeddedEngine().descriptor.encoder_config_hash
    monkeypatch.setattr(pitch, "_VOICING_STRENGTH", 0.5)
    assert EmbeddedEngine().descriptor.encoder_config_hash != before


def test_a_constant_of_speaking_changes_the_hash_of_speech(monkeypatch: pytest.MonkeyPatch) -> None:
    before = EmbeddedEngine().descriptor
    monkeypatch.setattr(text, "MAX_CHARACTERS", 300)
    after = EmbeddedEngine().descriptor
    assert after.speech_config_hash != before.speech_config_hash
    assert after.encoder_config_hash == before.encoder_config_hash


def test_equal_jobs_give_equal_bytes(engine: EmbeddedEngine, batch: list[Utterance]) -> None:
    first, second = (by_job(list(engine.synthesize(batch, never)), 4) for _ in range(2))
    assert [samples.tobytes() for samples in first] == [samples.tobytes() for samples in second]


def test_a_batch_gives_what_its_jobs_give_alone(engine: EmbeddedEngine, batch: list[Utterance]) -> None:
    together = by_job(list(engine.synthesize(batch, never)), 4)
    alone = [by_job(list(engine.synthesize([job], never)), 1)[0] for job in batch]
    assert all(np.array_equal(one, other) for one, other in zip(together, alone, strict=True))


def test_jobs_of_a_batch_take_turns(engine: EmbeddedEngine, batch: list[Utterance]) -> None:
    pieces = list(engine.synthesize(batch, never))
    assert [piece.index for piece in pieces[:4]] == [0, 1, 2, 3]


def test_every_job_has_one_last_piece_and_nothing_behind_it(engine: EmbeddedEngine, batch: list[Utterance]) -> None:
    pieces = list(engine.synthesize(batch, never))
    for job in range(4):
        assert [piece.last for piece in pieces if piece.index == job][-1]
        assert sum(piece.last for piece in pieces if piece.index == job) == 1


def test_pieces_are_float32_within_full_scale(engine: EmbeddedEngine, batch: list[Utterance]) -> None:
    for piece in engine.synthesize(batch, never):
        assert piece.samples.dtype == np.float32
        assert np.isfinite(piece.samples).all()
        assert np.abs(piece.samples).max(initial=0) <= 1


def test_a_cancelled_job_ends_early_and_the_others_do_not(engine: EmbeddedEngine, batch: list[Utterance]) -> None:
    whole = by_job(list(engine.synthesize(batch, never)), 4)
    gone: set[int] = set()
    pieces = []
    for piece in engine.synthesize(batch, gone.__contains__):
        pieces.append(piece)
        gone.add(0)
    cut = by_job(pieces, 4)
    assert 0 < len(cut[0]) < len(whole[0])
    assert all(np.array_equal(cut[job], whole[job]) for job in (1, 2, 3))
    assert sum(piece.last for piece in pieces) == 4


def test_a_job_that_was_cancelled_before_it_began_costs_nothing(engine: EmbeddedEngine, alloy: Features) -> None:
    (only,) = engine.synthesize([Utterance(TEXT, alloy)], lambda _: True)
    assert only.last
    assert len(only.samples) == 0


def test_long_unpunctuated_text_does_not_grow_the_process(engine: EmbeddedEngine, alloy: Features) -> None:
    def said(words: int) -> None:
        for item in engine.split("word " * words):
            for _ in engine.synthesize([Utterance(item, alloy)], never):
                pass

    said(200)
    gc.collect()
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    said(1500)
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 60_000  # KiB


def test_what_says_nothing_still_ends(engine: EmbeddedEngine, alloy: Features) -> None:
    pieces = list(engine.synthesize([Utterance("...", alloy)], never))
    assert [piece.last for piece in pieces] == [True]


@pytest.mark.parametrize(
    "text", ["<b>&amp;</b>", "%%% a", "A" * 24, "1e999", "$0.001 + €3 ≠ ¥4", "a\tb", "q" * 200, "1"]
)
def test_odd_texts_sound_sane(speak: Speak, alloy: Features, text: str) -> None:
    samples = speak(text, alloy)
    assert len(samples) > 2400
    assert np.isfinite(samples).all()
    assert 0.02 < np.abs(samples).max() <= 1


def test_memory_that_runs_out_is_said_so(
    engine: EmbeddedEngine, alloy: Features, monkeypatch: pytest.MonkeyPatch
) -> None:
    def exhausted(*_: object) -> None:
        raise MemoryError

    monkeypatch.setattr(AcousticModel, "frames", exhausted)
    with pytest.raises(EngineOutOfMemory):
        list(engine.synthesize([Utterance(TEXT, alloy)], never))


def test_costs_are_positive_and_grow_with_the_work() -> None:
    engine = EmbeddedEngine()
    short, long = (engine.synthesis_cost_seconds("x" * count, SpeechParameters()) for count in (1, 200))
    assert 0 < short < long
    assert engine.synthesis_cost_seconds("x" * 200, SpeechParameters(speed=0.5)) > long
    assert 0 < engine.extraction_cost_seconds(1) < engine.extraction_cost_seconds(30)


def test_digits_cost_several_times_what_letters_cost() -> None:
    digits, letters = (EmbeddedEngine().synthesis_cost_seconds(sign * 1000, SpeechParameters()) for sign in "7x")
    assert digits > 5 * letters


@given(st.text(max_size=50), st.text(max_size=50))
def test_cost_never_falls_when_text_is_added(text: str, more: str) -> None:
    cost = EmbeddedEngine().synthesis_cost_seconds
    assert cost(text + more, SpeechParameters()) >= cost(text, SpeechParameters())


@pytest.mark.parametrize("text", [TEXT, "7391 " * 17, "https://a.b/c=d#e+f " * 4])
def test_predicted_cost_is_of_the_right_size(engine: EmbeddedEngine, alloy: Features, text: str) -> None:
    started = time.process_time()
    list(engine.synthesize([Utterance(text, alloy)], never))
    spent = time.process_time() - started
    predicted = engine.synthesis_cost_seconds(text, SpeechParameters())
    assert predicted / 6 < spent < predicted * 6


@pytest.mark.parametrize("options", [{"threads": 0}, {"threads": True}, {"threads": "2"}, {"voice": "emma"}])
def test_wrong_options_are_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError):
        EmbeddedEngine.from_options(options)


def test_before_load_and_after_close_there_is_no_speech(alloy: Features) -> None:
    engine = EmbeddedEngine()
    assert engine.health() is not None
    with pytest.raises(EngineError):
        list(engine.synthesize([Utterance(TEXT, alloy)], never))
    with pytest.raises(EngineError):
        engine.preset_voices()
