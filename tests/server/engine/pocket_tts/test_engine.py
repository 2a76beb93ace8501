"""Does the engine take voices from the device, name its weights, and survive what goes wrong?"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import numpy as np
import pytest

pytest.importorskip("torch", reason="needs torch: make test-torch")

import torch
from safetensors import safe_open
from safetensors.torch import save_file

from tests.server.engine.pocket_tts import tiny_checkpoint
from tests.server.engine.speech import a_reference, nobody_left
from timbre_server.domain.pcm import Samples
from timbre_server.domain.voice import Features
from timbre_server.engine.pocket_tts.engine import PocketTtsEngine
from timbre_server.engine.pocket_tts.faults import Device
from timbre_server.errors import ConfigurationError, EngineError, EngineOutOfMemory
from timbre_server.ports import EngineDescriptor, Utterance

TEXT = "The birch canoe slid on the smooth planks."


@pytest.fixture(scope="module")
def voice(engine: PocketTtsEngine) -> Features:
    return engine.encode([a_reference(5.0)])[0]


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A checkpoint that a test may change."""
    return Path(shutil.copytree(tiny_checkpoint.shared(), tmp_path / "pocket"))


def made(folder: Path, **options: object) -> PocketTtsEngine:
    return PocketTtsEngine({"path": str(folder), "device": "cpu", "threads": 1, **options})


def descriptor(folder: Path, **options: object) -> EngineDescriptor:
    return made(folder, **options).descriptor


def say(engine: PocketTtsEngine, voice: Features, text: str = TEXT) -> Samples:
    return np.concatenate([piece.samples for piece in engine.synthesize([Utterance(text, voice)], nobody_left)])


class TestVoices:
    def test_a_voice_is_its_latents(self, engine: PocketTtsEngine, voice: Features) -> None:
        # 5 s and the pause of 0.08 s that the feature extractor puts behind them, at 12.5 frames a second
        assert {name: array.shape for name, array in voice.items()} == {"latents": (64, 8)}
        assert engine.descriptor.feature_bytes_per_second == 12.5 * 8 * 4

    def test_tensors_of_the_device_tier_speak_as_arrays_do(self, engine: PocketTtsEngine, voice: Features) -> None:
        slab = torch.zeros(100, 8)
        slab[20:84] = torch.from_numpy(np.array(voice["latents"]))
        held = {"latents": slab[20:84]}

        assert np.array_equal(say(engine, held), say(engine, voice))  # type: ignore[arg-type]

    def test_a_tensor_on_the_device_is_not_copied_to_the_host(self, engine: PocketTtsEngine, voice: Features) -> None:
        model = engine._ready().model
        tensor = torch.from_numpy(np.array(voice["latents"]))

        assert model.prompt(TEXT, tensor).voice is tensor

    def test_a_voice_of_half_precision_speaks(self, engine: PocketTtsEngine, voice: Features) -> None:
        """As the shared tier keeps it with ``shared_dtype: float16``."""
        halved = {"latents": voice["latents"].astype(np.float16)}
        both = say(engine, halved), say(engine, voice)

        assert both[0].shape == both[1].shape
        assert 0.0 < np.abs(both[0] - both[1]).max() < 0.1

    def test_latents_that_are_not_finite_are_no_voice(
        self, engine: PocketTtsEngine, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        model = engine._ready().model
        monkeypatch.setattr(model, "encoded", lambda _samples: torch.full((4, 8), torch.nan))
        with pytest.raises(EngineError, match="finite"):
            engine.encode([a_reference(5.0)])


class TestDescriptor:
    def test_it_says_what_a_key_needs(self, engine: PocketTtsEngine) -> None:
        descriptor = engine.descriptor

        assert descriptor.name == "pocket-tts"
        assert descriptor.streams
        assert descriptor.max_cross_voice_batch == 16
        assert descriptor.sample_rate_hz == 24_000
        assert descriptor.device == ""

    def test_other_weights_of_the_model_are_another_revision_of_the_same_encoder(self, folder: Path) -> None:
        before = descriptor(folder)
        _nudge(folder / "model.safetensors")
        after = descriptor(folder)

        assert after.revision != before.revision
        assert after.encoder_config_hash == before.encoder_config_hash

    def test_other_weights_of_the_codec_are_another_encoder(self, folder: Path) -> None:
        before = descriptor(folder)
        _nudge(folder / "audio_tokenizer" / "model.safetensors")
        after = descriptor(folder)

        assert after.revision != before.revision
        assert after.encoder_config_hash != before.encoder_config_hash

    def test_another_treatment_of_recordings_is_another_encoder(self, folder: Path) -> None:
        before = descriptor(folder)
        words = json.loads((folder / "processor_config.json").read_text())
        words["feature_extractor"]["end_on_pause"] = False
        (folder / "processor_config.json").write_text(json.dumps(words))

        assert descriptor(folder).encoder_config_hash != before.encoder_config_hash

    def test_the_precision_changes_the_speech_but_not_the_voice(self, folder: Path) -> None:
        full, half = descriptor(folder), descriptor(folder, dtype="bfloat16")

        assert full.revision != half.revision
        assert full.encoder_config_hash == half.encoder_config_hash

    def test_the_languages_are_those_of_the_settings(self, folder: Path) -> None:
        assert descriptor(folder, languages=["fr"]).languages == ("fr",)


class TestLoading:
    @pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
    def test_half_precision_speaks(self, folder: Path, voice: Features, dtype: str) -> None:
        engine = made(folder, dtype=dtype)
        engine.load()
        said = say(engine, voice)

        assert engine._ready().model.language_model.dtype == getattr(torch, dtype)
        assert np.isfinite(said).all()
        assert np.array_equal(engine.encode([a_reference(5.0)])[0]["latents"], voice["latents"])

    def test_a_missing_weight_is_refused_by_name(self, folder: Path) -> None:
        file = folder / "model.safetensors"
        with safe_open(file, "pt") as opened:
            tensors = {name: opened.get_tensor(name) for name in opened.keys() if name != "eos_head.weight"}  # noqa: SIM118 - no dict
        save_file(tensors, file, metadata={"format": "pt"})
        with pytest.raises(ConfigurationError, match=r"eos_head\.weight"):
            made(folder).load()

    def test_a_checkpoint_without_a_chat_template_is_refused(self, folder: Path) -> None:
        (folder / "chat_template.jinja").unlink()
        with pytest.raises(ConfigurationError, match="chat template"):
            made(folder).load()

    def test_broken_weights_are_refused(self, folder: Path) -> None:
        (folder / "model.safetensors").write_bytes(b"no weights")
        with pytest.raises(ConfigurationError, match="cannot load"):
            made(folder).load()

    def test_halves_that_do_not_fit_are_refused_before_they_are_loaded(self, folder: Path) -> None:
        config = folder / "audio_tokenizer" / "config.json"
        config.write_text(config.read_text().replace('"latent_dim": 8', '"latent_dim": 16'))
        with pytest.raises(ConfigurationError, match="do not fit"):
            made(folder)

    def test_a_device_that_torch_does_not_know_is_refused(self, folder: Path) -> None:
        with pytest.raises(ConfigurationError, match="abacus"):
            made(folder, device="abacus")

    def test_a_device_that_is_not_here_is_refused(self, folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
        with pytest.raises(ConfigurationError, match="CUDA"):
            made(folder, device="cuda:0").load()


class TestFailures:
    def test_a_batch_without_memory_says_so_and_the_next_one_speaks(
        self, engine: PocketTtsEngine, voice: Features, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        usual = say(engine, voice)
        model = engine._ready().model
        decode = model.codec.decoder.decoder_seanet.forward

        def full(_hidden: object) -> None:
            raise torch.OutOfMemoryError("CUDA out of memory")

        monkeypatch.setattr(model.codec.decoder.decoder_seanet, "forward", full)
        with pytest.raises(EngineOutOfMemory):
            say(engine, voice)
        monkeypatch.setattr(model.codec.decoder.decoder_seanet, "forward", decode)

        assert engine.health() is None
        assert np.array_equal(say(engine, voice), usual)

    def test_a_dead_device_shows_in_the_health(self, folder: Path, voice: Features) -> None:
        class DeadDevice(Device):
            def alive(self) -> bool:
                return False

        engine = made(folder)
        engine.load()
        assert engine.health() is None
        engine._device = DeadDevice(torch.device("cpu"))

        def failing(*_arguments: object, **_named: object) -> None:
            raise RuntimeError("CUDA error: device-side assert triggered")

        engine._ready().model.language_model.forward = failing
        with pytest.raises(EngineError):
            say(engine, voice)

        assert "restart" in (engine.health() or "")

    def test_an_engine_that_was_closed_says_so(self, folder: Path, voice: Features) -> None:
        engine = made(folder)
        assert engine.health() is not None
        engine.load()
        engine.close()
        with pytest.raises(EngineError, match="not loaded"):
            say(engine, voice)


def _nudge(file: Path) -> None:
    """Changes one weight by one bit, and the size of the file not at all."""
    content = bytearray(file.read_bytes())
    content[-1] ^= 1
    file.write_bytes(content)
