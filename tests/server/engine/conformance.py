"""What every engine promises to the port, as one suite.

An engine joins with two lines in ``test_conformance``::

    class TestPocketTts(EngineConformance):
        make = staticmethod(PocketTtsEngine)

Where an engine's text, language or seed needs other material, the class overrides an attribute.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from functools import lru_cache
from typing import ClassVar

import numpy as np
import pytest
import soxr

from tests.quality import recordings
from tests.server.engine.speech import left, nobody_left
from timbre_server.domain.pcm import Pcm, Samples
from timbre_server.domain.speech import NEUTRAL, SpeechParameters
from timbre_server.domain.voice import CANONICAL_SAMPLE_RATE_HZ, Features, Reference
from timbre_server.errors import AudioTooShort, UnspeakableText, UnsupportedLanguage
from timbre_server.ports import Engine, Piece, Utterance

OPENAI_VOICES = frozenset(
    {"alloy", "ash", "ballad", "cedar", "coral", "echo", "fable", "marin", "nova", "onyx", "sage", "shimmer", "verse"}
)
"""The built-in voices of ``POST /v1/audio/speech`` in OpenAI's API reference."""


@lru_cache
def a_human(name: str = "librivox-male", seconds: float = 6.0) -> Reference:
    """The beginning of a shipped recording as a reference."""
    pcm = recordings.load(name)
    samples = soxr.resample(pcm.samples, pcm.sample_rate_hz, CANONICAL_SAMPLE_RATE_HZ)
    samples = np.ascontiguousarray(samples[: round(seconds * CANONICAL_SAMPLE_RATE_HZ)], np.float32)
    digest = hashlib.sha256(samples.tobytes()).hexdigest()
    return Reference(Pcm(samples, CANONICAL_SAMPLE_RATE_HZ), digest)


def speak(
    engine: Engine, batch: Sequence[Utterance], cancelled: Callable[[int], bool] = nobody_left
) -> tuple[list[Samples], list[Piece]]:
    """The speech of each job of a batch, and all pieces as they came."""
    pieces = list(engine.synthesize(batch, cancelled))
    said = [np.concatenate([piece.samples for piece in pieces if piece.index == index]) for index in range(len(batch))]
    return said, pieces


def say(engine: Engine, text: str, features: Features, **wishes: float | str) -> Samples:
    return speak(engine, [Utterance(text, features, SpeechParameters(**wishes))])[0][0]


def same(one: Features, other: Features) -> bool:
    return one.keys() == other.keys() and all(np.array_equal(one[name], other[name]) for name in one)


class EngineConformance:
    """The suite; ``make`` returns the engine, not loaded."""

    make: ClassVar[Callable[[], Engine]]
    text: ClassVar[str] = "The birch canoe slid on the smooth planks."
    other_text: ClassVar[str] = "Glue the sheet to the dark blue background, please."
    foreign_text: ClassVar[str] = "今天天气很好。"
    foreign_language: ClassVar[str] = "tlh"
    """Klingon: no engine that we know speaks it."""
    batch_tolerance: ClassVar[float] = 0.0
    """Largest difference of a sample between a job in a batch and alone; not 0 only where a device's kernels
    round differently by batch size."""

    @pytest.fixture(scope="class")
    @classmethod
    def engine(cls) -> Iterator[Engine]:
        engine = cls.make()
        engine.load()
        yield engine
        engine.close()

    @pytest.fixture(scope="class")
    @classmethod
    def voice(cls, engine: Engine) -> Features:
        return engine.encode([a_human()])[0]

    @pytest.fixture(scope="class")
    @classmethod
    def other_voice(cls, engine: Engine) -> Features:
        return engine.encode([a_human("allison-female")])[0]

    # The descriptor.

    def test_the_descriptor_is_known_before_load_and_does_not_change(self, engine: Engine) -> None:
        assert self.make().descriptor == engine.descriptor

    def test_the_descriptor_is_complete(self, engine: Engine) -> None:
        descriptor = engine.descriptor

        assert all((descriptor.name, descriptor.model_id, descriptor.revision))
        assert all((descriptor.encoder_id, descriptor.encoder_config_hash, descriptor.speech_config_hash))
        assert 8_000 <= descriptor.sample_rate_hz <= 48_000
        assert descriptor.feature_spec
        assert descriptor.feature_bytes_per_second > 0
        assert descriptor.max_cross_voice_batch >= 1
        assert descriptor.max_encode_batch >= 1
        assert NEUTRAL in descriptor.emotions
        assert descriptor.languages
        assert all(language == language.lower() for language in descriptor.languages)
        assert descriptor.speed_range[0] <= 1.0 <= descriptor.speed_range[1]
        assert descriptor.pitch_range_semitones[0] <= 0.0 <= descriptor.pitch_range_semitones[1]
        assert descriptor.min_voiced_seconds > 0

    def test_a_loaded_engine_is_well(self, engine: Engine) -> None:
        assert engine.health() is None

    # Voices.

    def test_features_match_their_spec(self, engine: Engine, voice: Features) -> None:
        spec = engine.descriptor.feature_spec

        assert voice.keys() == spec.keys()
        for name, array in voice.items():
            assert array.dtype == np.dtype(spec[name].dtype)
            assert len(array.shape) == len(spec[name].dims)
            assert all(wanted in {None, size} for size, wanted in zip(array.shape, spec[name].dims, strict=True))

    def test_features_are_read_only_and_finite(self, engine: Engine, voice: Features) -> None:
        for features in (voice, *engine.preset_voices().values()):
            for array in features.values():
                assert not array.flags.writeable
                assert np.isfinite(array).all()

    def test_the_same_reference_gives_the_same_features(self, engine: Engine, voice: Features) -> None:
        assert same(engine.encode([a_human()])[0], voice)

    def test_different_speakers_give_different_features(self, voice: Features, other_voice: Features) -> None:
        assert not same(voice, other_voice)

    def test_references_in_a_batch_give_what_they_give_alone(
        self, engine: Engine, voice: Features, other_voice: Features
    ) -> None:
        batch = [a_human(), a_human("allison-female")] * engine.descriptor.max_encode_batch
        size = engine.descriptor.max_encode_batch
        together = engine.encode(batch[:size])

        assert len(together) == size
        expected = [voice, other_voice] * size
        for features, alone in zip(together, expected[:size], strict=True):
            assert features.keys() == alone.keys()
            assert all(np.allclose(features[name], alone[name], atol=self.batch_tolerance) for name in alone)

    def test_a_reference_that_is_too_short_is_refused(self, engine: Engine) -> None:
        with pytest.raises(AudioTooShort):
            engine.encode([a_human(seconds=engine.descriptor.min_voiced_seconds / 3)])

    def test_silence_is_no_voice(self, engine: Engine) -> None:
        silence = np.zeros(10 * CANONICAL_SAMPLE_RATE_HZ, np.float32)
        with pytest.raises(AudioTooShort):
            engine.encode([Reference(Pcm(silence, CANONICAL_SAMPLE_RATE_HZ), "0" * 64)])

    def test_presets_have_openais_names_and_match_the_spec(self, engine: Engine) -> None:
        presets = engine.preset_voices()

        assert presets.keys() in (frozenset(), OPENAI_VOICES)
        assert all(features.keys() == engine.descriptor.feature_spec.keys() for features in presets.values())

    def test_presets_differ_from_each_other(self, engine: Engine) -> None:
        presets: Mapping[str, Features] = engine.preset_voices()

        assert not any(same(presets[one], presets[other]) for one in presets for other in presets if one < other)

    # Speech.

    def test_speech_is_bounded_finite_float32_and_audible(self, engine: Engine, voice: Features) -> None:
        _, pieces = speak(engine, [Utterance(self.text, voice)])
        for piece in pieces:
            assert piece.samples.dtype == np.float32
            assert piece.samples.ndim == 1
            assert np.isfinite(piece.samples).all()
            assert np.abs(piece.samples).max(initial=0.0) <= 1.0
        speech = np.concatenate([piece.samples for piece in pieces])

        assert np.sqrt(np.mean(speech.astype(np.float64) ** 2)) > 0.003  # -50 dBFS is the floor of a quiet room
        assert 1.0 < len(speech) / engine.descriptor.sample_rate_hz < 10.0

    def test_equal_input_and_seed_give_equal_speech(self, engine: Engine, voice: Features) -> None:
        assert np.array_equal(say(engine, self.text, voice, seed=7), say(engine, self.text, voice, seed=7))

    def test_another_engine_of_the_same_kind_says_the_same(self, engine: Engine, voice: Features) -> None:
        twin = self.make()
        twin.load()
        try:
            assert np.array_equal(say(twin, self.text, voice), say(engine, self.text, voice))
        finally:
            twin.close()

    def test_different_voices_sound_different(self, engine: Engine, voice: Features, other_voice: Features) -> None:
        one, other = say(engine, self.text, voice), say(engine, self.text, other_voice)

        assert one.shape != other.shape or not np.allclose(one, other, atol=1e-3)

    def test_a_batch_gives_what_its_jobs_give_alone(
        self, engine: Engine, voice: Features, other_voice: Features
    ) -> None:
        batch = [
            Utterance(self.text, voice),
            Utterance(self.other_text, voice, SpeechParameters(seed=3)),
            Utterance(self.text, other_voice),
        ][: 2 if engine.descriptor.max_cross_voice_batch == 1 else 3]
        together, _ = speak(engine, batch)
        for job, speech in zip(batch, together, strict=True):
            alone = speak(engine, [job])[0][0]
            assert speech.shape == alone.shape
            assert np.abs(speech - alone).max() <= self.batch_tolerance

    def test_each_job_has_exactly_one_last_piece_and_nothing_after_it(self, engine: Engine, voice: Features) -> None:
        _, pieces = speak(engine, [Utterance(text, voice) for text in (self.text, self.other_text, self.text)])
        for index in range(3):
            ends = [piece.last for piece in pieces if piece.index == index]
            assert ends == [False] * (len(ends) - 1) + [True]

    def test_a_streaming_engine_speaks_before_it_is_done(self, engine: Engine, voice: Features) -> None:
        if not engine.descriptor.streams:
            pytest.skip("this engine does not stream")
        pieces = engine.synthesize([Utterance(self.text, voice)], nobody_left)
        first = next(pieces)
        pieces.close()

        assert len(first.samples)
        assert not first.last

    def test_a_cancelled_job_ends_early_and_the_others_do_not(self, engine: Engine, voice: Features) -> None:
        batch = [Utterance(self.text, voice), Utterance(self.other_text, voice)]
        whole, _ = speak(engine, batch)
        cut, pieces = speak(engine, batch, left(0))

        assert [piece.last for piece in pieces if piece.index == 0].count(True) == 1
        assert len(cut[0]) < len(whole[0]) or not engine.descriptor.streams
        assert np.array_equal(cut[0], whole[0][: len(cut[0])])
        assert np.abs(cut[1] - whole[1]).max() <= self.batch_tolerance

    def test_the_engine_speaks_on_after_a_batch_that_was_given_up(self, engine: Engine, voice: Features) -> None:
        pieces = engine.synthesize([Utterance(self.text, voice)], nobody_left)
        next(pieces)
        pieces.close()

        assert np.array_equal(say(engine, self.text, voice), say(engine, self.text, voice))

    def test_longer_text_takes_longer_to_say(self, engine: Engine, voice: Features) -> None:
        assert len(say(engine, f"{self.text} {self.other_text}", voice)) > 1.3 * len(say(engine, self.text, voice))

    def test_presets_speak(self, engine: Engine) -> None:
        for features in list(engine.preset_voices().values())[:2]:
            assert len(say(engine, self.text, features))

    # Wishes.

    def test_speed_changes_the_duration(self, engine: Engine, voice: Features) -> None:
        slowest, fastest = engine.descriptor.speed_range
        normal = len(say(engine, self.text, voice))

        assert len(say(engine, self.text, voice, speed=fastest)) == pytest.approx(normal / fastest, rel=0.25)
        assert len(say(engine, self.text, voice, speed=slowest)) == pytest.approx(normal / slowest, rel=0.25)

    def test_pitch_changes_the_waveform_over_the_whole_range(self, engine: Engine, voice: Features) -> None:
        normal = say(engine, self.text, voice)
        for semitones in {*engine.descriptor.pitch_range_semitones} - {0.0}:
            shifted = say(engine, self.text, voice, pitch_semitones=semitones)
            assert np.isfinite(shifted).all()
            assert len(shifted) == pytest.approx(len(normal), rel=0.25)
            assert shifted.shape != normal.shape or not np.allclose(shifted, normal, atol=1e-3)

    def test_every_emotion_is_heard(self, engine: Engine, voice: Features) -> None:
        normal = say(engine, self.text, voice)
        for emotion in set(engine.descriptor.emotions) - {NEUTRAL}:
            moved = say(engine, self.text, voice, emotion=emotion)
            assert np.isfinite(moved).all()
            assert moved.shape != normal.shape or not np.allclose(moved, normal, atol=1e-3)

    # Text.

    def test_split_keeps_every_word(self, engine: Engine) -> None:
        text = f"{self.text} {self.other_text}\n\nIs it 7 o'clock? Yes! " * 5
        joined = " ".join(engine.split(text))

        assert joined.split() == text.split()

    def test_items_of_a_long_text_are_bounded(self, engine: Engine) -> None:
        longest = max(len(item) for item in engine.split(" ".join(["word"] * 300)))
        for text in ("word " * 5_000, "x" * 10_000, "7" * 10_000):
            items = engine.split(text)
            assert max(len(item) for item in items) <= 2 * longest
            assert "".join("".join(items).split()) == "".join(text.split())

    def test_no_item_is_silent(self, engine: Engine) -> None:
        assert all(any(letter.isalnum() for letter in item) for item in engine.split("Well... !!! ... Then? - Yes."))

    @pytest.mark.parametrize("text", ["", "   ", "...", "🙂🙂", "?!\n\t"])
    def test_text_without_words_is_refused(self, engine: Engine, text: str) -> None:
        with pytest.raises(UnspeakableText):
            engine.split(text)

    def test_a_script_that_the_engine_cannot_read_is_refused_by_name(self, engine: Engine) -> None:
        with pytest.raises(UnsupportedLanguage) as refused:
            engine.split(f"{self.text} {self.foreign_text}")
        assert all(language in refused.value.message for language in engine.descriptor.languages)

    def test_a_language_that_the_engine_does_not_speak_is_refused(self, engine: Engine) -> None:
        with pytest.raises(UnsupportedLanguage):
            engine.split(self.text, self.foreign_language)

    def test_every_language_of_the_descriptor_is_accepted(self, engine: Engine) -> None:
        for language in engine.descriptor.languages:
            assert engine.split(self.text, language)

    # Costs.

    def test_costs_are_positive_and_finite(self, engine: Engine) -> None:
        for text in ("a", self.text, self.text * 10):
            assert 0.0 < engine.synthesis_cost_seconds(text, SpeechParameters()) < math.inf
        for seconds in (0.1, 10.0, 30.0):
            assert 0.0 < engine.extraction_cost_seconds(seconds) < math.inf

    def test_costs_grow_with_what_is_to_do(self, engine: Engine) -> None:
        speech = [engine.synthesis_cost_seconds("word " * words, SpeechParameters()) for words in (1, 5, 20, 40)]
        voices = [engine.extraction_cost_seconds(seconds) for seconds in (3.0, 10.0, 30.0)]

        assert speech == sorted(speech)
        assert voices == sorted(voices)
