from __future__ import annotations

import hashlib
import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
import soxr
from hypothesis import given
from hypothesis import strategies as st

import timbre_server.engine.speaker
from tests.quality.recordings import ROOT, load
from timbre_server.domain.pcm import Pcm
from timbre_server.engine.speaker import EMBEDDING_SIZE, SpeakerEncoder
from timbre_server.engine.speaker.encoder import PARTIAL_FRAMES, mel_partials, partial_starts
from timbre_server.errors import AudioSilent
from timbre_server.ports import SpeakerVerifier

SPEAKERS = ("librivox-male", "allison-female", "carlo-male-italian")
PACKAGE = Path(timbre_server.engine.speaker.__file__).parent


def cosine(encoder: SpeakerVerifier, one: Pcm, other: Pcm) -> float:
    return float(encoder.embed(one) @ encoder.embed(other))


def scaled(pcm: Pcm, factor: float) -> Pcm:
    return Pcm(pcm.samples * np.float32(factor), pcm.sample_rate_hz)


def test_the_model_hears_what_resemblyzer_hears(encoder: SpeakerEncoder) -> None:
    # Made once with Resemblyzer 0.1.4, librosa 0.11.0 and torch 2.15: VoiceEncoder.embed_utterance of the samples
    # of examples/voices/librivox-male.flac as they are (they are louder than its -30 dBFS), without its pause cutter.
    official = np.load(Path(__file__).with_name("resemblyzer_librivox_male.npy"), allow_pickle=False)
    ours = encoder.embed_partials(mel_partials(load("librivox-male").samples))
    # Measured 0.9999995: what float16 weights change.
    assert float(ours @ official) > 0.99999


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_two_takes_of_a_speaker_match_with_room_to_spare(encoder: SpeakerEncoder, speaker: str) -> None:
    assert cosine(encoder, load(speaker), load(f"{speaker}-other-take")) > encoder.threshold + 0.1


@pytest.mark.parametrize(("speaker", "other"), list(itertools.permutations(SPEAKERS, 2)))
def test_two_speakers_do_not_match(encoder: SpeakerEncoder, speaker: str, other: str) -> None:
    assert cosine(encoder, load(speaker), load(f"{other}-other-take")) < encoder.threshold - 0.05


def test_an_embedding_is_a_unit_vector_without_negative_elements(encoder: SpeakerEncoder) -> None:
    vector = encoder.embed(load("allison-female"))
    assert vector.shape == (EMBEDDING_SIZE,)
    assert vector.dtype == np.float32
    assert vector.min() >= 0
    assert np.linalg.norm(vector) == pytest.approx(1, abs=1e-5)


@pytest.mark.parametrize("factor", [0.01, 0.1, 0.5, 1.4])
def test_the_level_of_a_recording_does_not_count(encoder: SpeakerEncoder, factor: float) -> None:
    pcm = load("allison-female")
    assert cosine(encoder, pcm, scaled(pcm, factor)) > 0.9999


@pytest.mark.parametrize("rate_hz", [22_050, 24_000, 44_100, 48_000])
def test_the_sample_rate_of_a_recording_does_not_count(encoder: SpeakerEncoder, rate_hz: int) -> None:
    pcm = load("allison-female")
    resampled = Pcm(soxr.resample(pcm.samples, pcm.sample_rate_hz, rate_hz), rate_hz)
    assert cosine(encoder, pcm, resampled) > 0.999


def test_a_telephone_recording_still_matches(encoder: SpeakerEncoder) -> None:
    other = load("librivox-male-other-take")
    narrow = Pcm(soxr.resample(other.samples, other.sample_rate_hz, 8_000), 8_000)
    assert cosine(encoder, load("librivox-male"), narrow) > encoder.threshold


@pytest.mark.parametrize("speaker", SPEAKERS)
def test_steady_noise_hardly_counts(encoder: SpeakerEncoder, speaker: str) -> None:
    pcm = load(speaker)
    level = np.sqrt(np.mean(pcm.samples**2)) / 10  # 20 dB below the voice
    noise = np.random.default_rng(3).standard_normal(len(pcm.samples)).astype(np.float32)
    # Measured 0.987 or more; 0.86 to 0.94 where the noise stays.
    assert cosine(encoder, pcm, Pcm(pcm.samples + level * noise, pcm.sample_rate_hz)) > 0.97


def test_silence_around_speech_hardly_counts(encoder: SpeakerEncoder) -> None:
    pcm = load("carlo-male-italian")
    pause = np.zeros(2 * pcm.sample_rate_hz, np.float32)
    assert cosine(encoder, pcm, Pcm(np.concatenate([pause, pcm.samples, pause]), pcm.sample_rate_hz)) > 0.98


def test_threads_get_the_vectors_that_a_single_one_gets(encoder: SpeakerEncoder) -> None:
    takes = [load(speaker) for speaker in SPEAKERS] * 4
    alone = [encoder.embed(take) for take in takes]
    with ThreadPoolExecutor(4) as pool:
        together = list(pool.map(encoder.embed, takes))
    assert all(np.array_equal(one, other) for one, other in zip(alone, together, strict=True))


def test_more_threads_per_embedding_give_the_same_voice(encoder: SpeakerEncoder) -> None:
    pcm = load("librivox-male")
    assert np.allclose(SpeakerEncoder.load(threads=2).embed(pcm), encoder.embed(pcm), atol=1e-5)


@pytest.mark.parametrize("count", [0, 1, 16_000])
def test_silence_is_refused(encoder: SpeakerEncoder, count: int) -> None:
    with pytest.raises(AudioSilent):
        encoder.embed(Pcm(np.full(count, 1e-6, np.float32), 16_000))


@pytest.mark.parametrize(
    "sound",
    [
        pytest.param(lambda n: 0.5 * np.sin(n * 0.1), id="tone"),
        pytest.param(lambda n: 0.1 * np.random.default_rng(4).standard_normal(len(n)), id="noise"),
        pytest.param(lambda n: (n % 16_000 == 8_000) * 1.0, id="clicks"),
        pytest.param(lambda n: 0.1 + 0 * n, id="constant"),
    ],
)
@pytest.mark.parametrize("count", [20, 8_000, 40_000])
def test_any_sound_gives_a_unit_vector(
    encoder: SpeakerEncoder, sound: Callable[[np.ndarray], np.ndarray], count: int
) -> None:
    samples = sound(np.arange(count) + 8_000 - count // 2).astype(np.float32)
    assert np.linalg.norm(encoder.embed(Pcm(samples, 16_000))) == pytest.approx(1, abs=1e-5)


@given(st.integers(1, 60 * 16_000))
def test_partials_cover_the_recording_but_for_a_short_end(count: int) -> None:
    starts = partial_starts(count)
    frames = count / 160
    assert starts[0] == 0
    assert set(np.diff(starts)) <= {77}
    assert all(start <= frames for start in starts)
    # A last partial is given up below 75 % = 120 frames of its own, and 160 - 77 = 83 of those were heard before.
    assert frames - (starts[-1] + PARTIAL_FRAMES) < 120 - 83 + 1


def test_the_weights_are_those_that_the_notice_and_the_script_describe(encoder: SpeakerEncoder) -> None:
    digest = hashlib.sha256((PACKAGE / "encoder.onnx").read_bytes()).hexdigest()
    assert digest in (PACKAGE / "NOTICE.md").read_text()
    assert digest in (ROOT / "scripts" / "convert_speaker_encoder.py").read_text()
    assert len(encoder.config_hash) == 64
    assert encoder.config_hash != digest  # the front end counts too
