"""Does the stub take exactly the time that it should, say what can be recognised, and fail on command?"""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.server.engine.speech import a_reference, an_utterance, left, nobody_left
from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import SpeechParameters
from timbre_server.engine.sentences import MAX_CHARACTERS
from timbre_server.engine.stub import SAMPLE_RATE_HZ, StubEngine
from timbre_server.errors import (
    AudioTooShort,
    ConfigurationError,
    EngineError,
    EngineOutOfMemory,
    UnspeakableText,
    UnsupportedLanguage,
)


class Waits(list[float]):
    """A ``sleep`` that notes its seconds and returns at once."""

    def __call__(self, seconds: float) -> None:
        self.append(seconds)

    @property
    def seconds(self) -> float:
        return round(sum(self), 9)


def a_stub(**options: float) -> tuple[StubEngine, Waits]:
    waits = Waits()
    return StubEngine(**options, sleep=waits), waits


def say(engine: StubEngine, *texts: str, voice: str = "alloy", **wishes: float | str) -> list[Samples]:
    batch = [an_utterance(engine, text, voice=voice, **wishes) for text in texts]
    pieces = list(engine.synthesize(batch, nobody_left))
    return [np.concatenate([piece.samples for piece in pieces if piece.index == index]) for index in range(len(texts))]


def pitch_hz(samples: Samples) -> float:
    """The strongest frequency."""
    spectrum = np.abs(np.fft.rfft(samples))
    return float(np.argmax(spectrum) * SAMPLE_RATE_HZ / len(samples))


@pytest.mark.parametrize("size", [1, 4, 16])
def test_a_batch_of_n_takes_a_plus_b_n(size: int) -> None:
    engine, waits = a_stub()
    say(engine, *["Hello."] * size)

    assert waits.seconds == pytest.approx(0.020 + 0.002 * size)


def test_the_time_is_spread_over_the_pieces() -> None:
    engine, waits = a_stub(fixed_seconds=0.1, per_job_seconds=0.0, pieces=4)
    pieces = engine.synthesize([an_utterance(engine, "Hello.")], nobody_left)
    next(pieces)

    assert waits.seconds == 0.025
    assert len(list(pieces)) == 3
    assert waits.seconds == 0.1


def test_the_longest_speech_of_a_batch_can_cost_time() -> None:
    engine, waits = a_stub(fixed_seconds=0.0, per_job_seconds=0.0, per_longest_second_seconds=0.5)
    say(engine, "Short.", "x" * 100)

    assert waits.seconds == pytest.approx(0.5 * 6.0)
    assert engine.synthesis_cost_seconds("x" * 100, SpeechParameters()) == pytest.approx(3.0)


def test_extraction_takes_its_time() -> None:
    engine, waits = a_stub(encode_fixed_seconds=1.0, encode_per_reference_seconds=0.5)
    engine.encode([a_reference(), a_reference(hertz=200.0)])

    assert waits.seconds == 2.0


def test_loading_takes_its_time() -> None:
    engine, waits = a_stub(load_seconds=3.0)
    engine.load()

    assert waits.seconds == 3.0


def test_a_cancelled_batch_takes_no_more_time() -> None:
    engine, waits = a_stub(fixed_seconds=1.0, per_job_seconds=0.0, pieces=10)
    pieces = list(engine.synthesize([an_utterance(engine, "Hello.")], left(0)))

    assert [piece.last for piece in pieces] == [True]
    assert waits.seconds == pytest.approx(0.1)


def test_the_tone_tells_the_voice() -> None:
    engine, _ = a_stub()
    (alloy,), (echo,) = say(engine, "x" * 50), say(engine, "x" * 50, voice="echo")

    assert pitch_hz(alloy) == pytest.approx(600.0, abs=1.0)
    assert pitch_hz(echo) == pytest.approx(725.0, abs=1.0)


def test_the_length_tells_the_text_and_the_speed() -> None:
    engine, _ = a_stub()

    assert len(say(engine, "x" * 50)[0]) == 3.0 * SAMPLE_RATE_HZ
    assert len(say(engine, "x" * 50, speed=2.0)[0]) == 1.5 * SAMPLE_RATE_HZ


def test_pitch_moves_the_tone_by_semitones() -> None:
    engine, _ = a_stub()
    (octave_up,) = say(engine, "x" * 50, pitch_semitones=12.0)

    assert pitch_hz(octave_up) == pytest.approx(1200.0, abs=1.0)


def test_the_text_and_the_seed_change_the_waveform() -> None:
    engine, _ = a_stub()
    one, other, seeded = (say(engine, text, seed=seed)[0] for text, seed in (("One.", 0), ("Two.", 0), ("One.", 1)))

    assert not np.array_equal(one, other)
    assert not np.array_equal(one, seeded)


def test_voices_of_different_references_sound_different() -> None:
    engine, _ = a_stub()
    one, other = engine.encode([a_reference(hertz=100.0), a_reference(hertz=200.0)])

    assert one["tone_hz"] != other["tone_hz"]
    assert not np.array_equal(one["spectrum"], other["spectrum"])


def test_features_can_be_made_as_large_as_a_real_engines() -> None:
    engine, _ = a_stub(spectrum_bands=3_328)
    (features,) = engine.encode([a_reference(10.0)])

    assert sum(array.nbytes for array in features.values()) == pytest.approx(130 * 1024, rel=0.01)
    assert engine.descriptor.feature_bytes_per_second * 10 == pytest.approx(130 * 1024, rel=0.01)


def test_silence_counts_as_too_short() -> None:
    engine, _ = a_stub()
    quiet = a_reference(10.0)
    quiet.pcm.samples[2 * SAMPLE_RATE_HZ :] = 0.0
    with pytest.raises(AudioTooShort, match=r"2\.0 s"):
        engine.encode([quiet])


@pytest.mark.parametrize(
    ("text", "raised"),
    [("[fail]", EngineError), ("[crash]", RuntimeError), ("[oom]", EngineOutOfMemory), ("[die]", SystemExit)],
)
def test_a_marker_fails_the_whole_batch_before_any_speech(text: str, raised: type[BaseException]) -> None:
    engine, _ = a_stub()
    pieces = engine.synthesize([an_utterance(engine, "Well."), an_utterance(engine, f"Oh {text}")], nobody_left)
    with pytest.raises(raised):
        next(pieces)


def test_a_late_failure_comes_after_the_first_piece() -> None:
    engine, _ = a_stub(pieces=2)
    pieces = engine.synthesize([an_utterance(engine, "[fail-late]")], nobody_left)

    assert len(next(pieces).samples)
    with pytest.raises(EngineError):
        next(pieces)


def test_memory_can_run_out_above_a_size() -> None:
    engine, _ = a_stub()

    assert len(say(engine, *["[oom-above-2]"] * 2)) == 2
    with pytest.raises(EngineOutOfMemory):
        say(engine, *["[oom-above-2]"] * 3)


def test_a_batch_can_be_slow() -> None:
    engine, waits = a_stub()
    say(engine, "[slow:0.5]", "Hello.")

    assert waits.seconds == pytest.approx(0.524)


def test_a_broken_engine_stays_broken() -> None:
    engine, _ = a_stub()
    with pytest.raises(EngineError):
        say(engine, "[break]")

    assert engine.health() is not None


def test_a_transcript_scripts_an_extraction() -> None:
    engine, waits = a_stub()
    engine.encode([a_reference(transcript="[slow:2]")])
    with pytest.raises(EngineError):
        engine.encode([a_reference(transcript="[fail]")])

    assert waits.seconds >= 2.0


@pytest.mark.parametrize("text", ["[slow]", "[slow:]", "[slow:x]", "[oom-above-]", "[fail", "fail]", "[nothing]", "[]"])
def test_what_is_no_marker_is_spoken(text: str) -> None:
    engine, waits = a_stub()

    assert len(say(engine, f"Hello {text}.")[0])
    assert waits.seconds == pytest.approx(0.022)


def test_options_come_from_the_settings() -> None:
    engine = StubEngine.from_options(
        {"fixed_seconds": 1, "per_job_seconds": 0.5, "pieces": 3, "max_cross_voice_batch": 1}
    )

    assert (engine.fixed_seconds, engine.per_job_seconds, engine.pieces) == (1, 0.5, 3)
    assert engine.descriptor.max_cross_voice_batch == 1
    assert engine.descriptor.streams


@pytest.mark.parametrize("name", ["fixed", "sleep", "batches", "_broken", "FIXED_SECONDS"])
def test_an_unknown_option_is_named(name: str) -> None:
    with pytest.raises(ConfigurationError, match=f"'{name}'.*fixed_seconds"):
        StubEngine.from_options({name: 1})


@pytest.mark.parametrize(
    "options",
    [
        {"fixed_seconds": -0.1},
        {"fixed_seconds": "1"},
        {"fixed_seconds": None},
        {"fixed_seconds": True},
        {"fixed_seconds": float("nan")},
        {"fixed_seconds": float("inf")},
        {"pieces": 0},
        {"pieces": 1.5},
        {"max_encode_batch": True},
    ],
)
def test_an_option_out_of_its_range_is_refused(options: dict[str, object]) -> None:
    with pytest.raises(ConfigurationError, match=next(iter(options))):
        StubEngine.from_options(options)


@given(st.text(st.characters(max_codepoint=0x2FF), max_size=2000))
def test_split_says_everything_in_bounded_items(text: str) -> None:
    engine, _ = a_stub()
    if not any(character.isalnum() for character in text):
        with pytest.raises(UnspeakableText):
            engine.split(text)
        return
    items = engine.split(text)

    assert all(0 < len(item) <= MAX_CHARACTERS for item in items)
    assert "".join("".join(items).split()) == "".join(text.split())


def test_sentences_are_items() -> None:
    assert StubEngine().split("One. Two!  Three? 3.5 [slow:0.5] four…") == [
        "One.",
        "Two!",
        "Three?",
        "3.5 [slow:0.5] four…",
    ]


def test_a_long_sentence_is_cut_between_words() -> None:
    items = StubEngine().split("word " * 100)

    assert [len(item) for item in items] == [199, 199, 99]


@pytest.mark.parametrize("text", ["Привет", "今天", "Hello мир", "مرحبا"])
def test_other_scripts_are_refused(text: str) -> None:
    with pytest.raises(UnsupportedLanguage, match="en"):
        StubEngine().split(text)


@pytest.mark.parametrize("language", ["", "en", "en-US", "EN"])
def test_every_kind_of_english_is_accepted(language: str) -> None:
    assert StubEngine().split("Café, naïve ﹣ fine 🙂.", language)
