from __future__ import annotations

import numpy as np
import pytest

from timbre_server.domain.pcm import Pcm
from timbre_server.domain.voice import Features, Reference, feature_bytes
from timbre_server.engine.embedded.analysis import analyse
from timbre_server.engine.embedded.engine import EmbeddedEngine
from timbre_server.engine.embedded.extraction import FEATURE_SPEC, frozen
from timbre_server.errors import AudioTooShort, EngineError


def encoded(engine: EmbeddedEngine, samples: np.ndarray) -> Features:
    return engine.encode([Reference(Pcm(samples.astype(np.float32), 24_000), "digest")])[0]


def test_features_are_as_specified_and_read_only(voices: dict[str, Features]) -> None:
    for features in voices.values():
        assert set(features) == set(FEATURE_SPEC)
        for name, spec in FEATURE_SPEC.items():
            array = features[name]
            assert array.dtype == spec.dtype
            assert array.ndim == len(spec.dims)
            assert all(dim in (None, size) for dim, size in zip(spec.dims, array.shape, strict=True))
            assert not array.flags.writeable


def test_the_median_pitch_is_the_speakers(voices: dict[str, Features]) -> None:
    medians = {name: float(features["f0_stats"][0]) for name, features in voices.items()}
    # Independently measured by the cepstra of the same recordings: 95, 197 and 160 Hz.
    assert medians["librivox-male"] == pytest.approx(95, rel=0.05)
    assert medians["allison-female"] == pytest.approx(197, rel=0.05)
    assert medians["carlo-male-italian"] == pytest.approx(160, rel=0.05)


def test_the_embedding_is_a_unit_vector(voices: dict[str, Features]) -> None:
    for features in voices.values():
        assert np.linalg.norm(features["speaker_embedding"]) == pytest.approx(1, abs=1e-5)


def test_size_follows_the_recording_as_announced(
    engine: EmbeddedEngine, voices: dict[str, Features], references: dict[str, Reference]
) -> None:
    for name, features in voices.items():
        announced = engine.descriptor.feature_bytes_per_second * references[name].pcm.duration_seconds
        assert 0 <= feature_bytes(features) - announced < 8000


def test_level_moves_no_timbre(engine: EmbeddedEngine, references: dict[str, Reference]) -> None:
    samples = references["allison-female"].pcm.samples
    loud, quiet = encoded(engine, samples), encoded(engine, samples * 0.2)
    assert quiet["cep_mean"] == pytest.approx(loud["cep_mean"], abs=0.05)
    assert quiet["f0_stats"][3] - loud["f0_stats"][3] == pytest.approx(20 * np.log10(0.2), abs=0.1)


def test_a_narrow_band_goes_on_as_the_base_voice_does(
    engine: EmbeddedEngine, voices: dict[str, Features], references: dict[str, Reference]
) -> None:
    samples = references["carlo-male-italian"].pcm.samples
    spectrum = np.fft.rfft(samples)
    spectrum[int(len(spectrum) * 4000 / 12_000) :] = 0  # a telephone's band
    narrow = encoded(engine, np.fft.irfft(spectrum, len(samples)))
    difference = narrow["cep_mean"][0] - voices["carlo-male-italian"]["cep_mean"][0]
    # Nothing above 4 kHz, taken at its word, would move the mean by about -10 nats per band.
    assert np.linalg.norm(difference) < 6


@pytest.mark.parametrize("name", ["silence", "noise", "two seconds", "nothing"])
def test_too_little_voiced_speech_is_refused(
    engine: EmbeddedEngine, references: dict[str, Reference], name: str
) -> None:
    recordings = {
        "silence": np.zeros(240_000),
        "noise": np.random.default_rng(5).normal(0, 0.1, 240_000),
        "two seconds": references["allison-female"].pcm.samples[:48_000],
        "nothing": np.zeros(0),
    }
    with pytest.raises(AudioTooShort, match="voiced speech"):
        encoded(engine, recordings[name])


def test_extraction_is_deterministic(
    engine: EmbeddedEngine, voices: dict[str, Features], references: dict[str, Reference]
) -> None:
    again = engine.encode([references["librivox-male"]])[0]
    assert all(np.array_equal(again[name], voices["librivox-male"][name]) for name in FEATURE_SPEC)


def test_references_of_a_batch_do_not_touch(
    engine: EmbeddedEngine, voices: dict[str, Features], references: dict[str, Reference]
) -> None:
    together = engine.encode(list(references.values()))
    for alone, batched in zip(voices.values(), together, strict=True):
        assert all(np.array_equal(alone[name], batched[name]) for name in FEATURE_SPEC)


def test_a_feature_that_is_not_finite_is_an_error(alloy: Features) -> None:
    with pytest.raises(EngineError, match="cep_mean is not finite"):
        frozen({**alloy, "cep_mean": alloy["cep_mean"] * np.float32(np.nan)})


def test_pauses_are_not_active(references: dict[str, Reference]) -> None:
    samples = references["allison-female"].pcm.samples
    padded = np.concatenate([samples, np.zeros(48_000, np.float32)])
    assert not analyse(padded).active[-150:].any()
    assert analyse(padded).level_dbfs == pytest.approx(analyse(samples).level_dbfs, abs=0.5)
