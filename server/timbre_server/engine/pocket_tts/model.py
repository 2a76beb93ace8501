"""What was loaded from a checkpoint, and what is asked of it: language model, codec, tokenizer and their constants?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final, NoReturn

import numpy as np
import torch  # type: ignore[import-not-found,unused-ignore]
from safetensors import SafetensorError
from transformers import (  # type: ignore[import-not-found,unused-ignore]
    AutoTokenizer,
    PocketTTSAudioTokenizerModel,
    PocketTTSFeatureExtractor,
    PocketTTSForConditionalGeneration,
    PocketTTSProcessor,
)

from timbre_server.domain.pcm import Samples
from timbre_server.engine.pocket_tts.checkpoint import processor_words
from timbre_server.engine.pocket_tts.ending import Ending, frame_budget
from timbre_server.errors import ConfigurationError

_PROCESSOR_NUMBERS: Final = (
    "short_text_max_words",
    "frames_after_eos_short_text",
    "frames_after_eos",
    "fade_in_duration",
)
_GENERATION: Final = {
    "do_sample": False, "temperature": 1.0, "num_flow_steps": 1, "eos_threshold": -4.0, "min_frames_before_eos": 6,
}  # fmt: skip
"""The library's defaults (transformers 5.23, ``generation_pocket_tts``) for what the checkpoint does not set."""


@dataclass(frozen=True, eq=False)
class Prompt:
    """What the language model is given for one job."""

    ids: tuple[int, ...]
    """Voice placeholders, text, and the first audio position, without padding."""
    voice: torch.Tensor
    """Latents of the reference [frames, latent_dim], float32, on the device."""
    frame_budget: int
    tail_frames: int


class LoadedModel:
    """Both halves of the model on one device, ready to speak."""

    def __init__(self, folder: Path, codec_folder: Path, *, device: torch.device, dtype: str) -> None:
        """Reads the weights.

        Raises:
            ConfigurationError: files are missing, or are not those of this model.
        """
        self.device = device
        self.language_model = _loaded(PocketTTSForConditionalGeneration, folder, getattr(torch, dtype)).to(device)
        self.codec = _loaded(PocketTTSAudioTokenizerModel, codec_folder, torch.float32).to(device)
        self.processor = _processor(folder)
        config = self.language_model.config
        self.latent_token: int = config.audio_latent_token_id
        self.pad_token: int = config.pad_token_id
        self._text_ends: int = config.audio_bos_token_id
        self._not_text = {
            config.audio_prompt_token_id, config.audio_latent_token_id, config.audio_prompt_bos_token_id,
            config.audio_bos_token_id,
        }  # fmt: skip
        self._frames_per_second: float = config.frame_rate
        self._latent_dim: int = config.latent_dim
        settings = self.language_model.generation_config
        given = {name: getattr(settings, name, None) for name in _GENERATION}
        self._generation: dict[str, Any] = {
            name: _GENERATION[name] if value is None else value for name, value in given.items()
        }
        rate = self.codec.config.sampling_rate
        fade = round(self.processor.fade_in_duration * rate)
        self.fade_in: Samples = np.linspace(0.0, 1.0, fade, dtype=np.float32)

    def prompt(self, text: str, voice: torch.Tensor) -> Prompt:
        """The input of one job; ``voice`` as ``encoded`` returned it, on any device."""
        items = [{"type": "audio"}, {"type": "text", "text": self._harmless(text)}]
        rendered = self.processor.apply_chat_template([{"role": "user", "content": items}])
        # Only the number of frames counts here; the true latents stay on the device.
        placeholder = torch.zeros(len(voice), 1)
        inputs = self.processor(text=[rendered], audio_prompt_latents=[placeholder], return_tensors="pt")
        ids = tuple(inputs["input_ids"][0].tolist())
        assert ids[-1] == self._text_ends, "the chat template ends with the first audio position"
        tokens = sum(token not in self._not_text for token in ids)
        return Prompt(
            ids,
            voice.to(self.device, torch.float32),
            frame_budget(tokens, self._frames_per_second),
            int(inputs["frames_after_eos"][0]),
        )

    def ending(self, prompt: Prompt) -> Ending:
        """A count of the frames of that job."""
        return Ending(
            threshold=self._generation["eos_threshold"],
            first_frame=self._generation["min_frames_before_eos"],
            tail_frames=prompt.tail_frames,
            budget=prompt.frame_budget,
        )

    def noise(self, seed: int, frames: int) -> torch.Tensor:
        """What the flow head starts from, [frames, latent_dim] float32: the same on every device."""
        if not self._generation["do_sample"]:
            return torch.zeros(frames, self._latent_dim, device=self.device)
        generator = torch.Generator().manual_seed(seed)
        noise = torch.randn(frames, self._latent_dim, generator=generator)
        return (noise * math.sqrt(self._generation["temperature"])).to(self.device)

    def sampled(self, condition: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
        """The next latents [batch, latent_dim], normalised, from hidden states [batch, hidden] and their noise."""
        return self.language_model.sample_latent(condition, noise, self._generation["num_flow_steps"])

    def in_codec_space(self, latents: torch.Tensor) -> torch.Tensor:
        """Normalised latents as the codec takes them, float32."""
        return self.language_model.denormalize_latents(latents.float())

    def encoded(self, samples: Samples) -> torch.Tensor:
        """The latents [frames, latent_dim] of a recording at the codec's rate, float32, on the device."""
        rate = self.codec.config.sampling_rate
        inputs = self.processor.feature_extractor([samples], sampling_rate=rate, return_tensors="pt")
        with torch.inference_mode():
            audio = inputs["input_values"].to(self.device, torch.float32)
            encoded = self.codec.encode(audio, inputs["padding_mask"].to(self.device))
            return encoded.latents[0, : int(encoded.latents_mask[0].sum())]

    def _harmless(self, text: str) -> str:
        """The text without words that the tokenizer would take for a voice or the end of the text."""
        for token in self.processor.tokenizer.all_special_tokens:
            text = text.replace(token, " ")
        return text


def _loaded(model_class: Any, folder: Path, dtype: torch.dtype) -> Any:
    """A model of ``transformers`` from a local folder, with every weight found in it."""
    try:
        model, report = model_class.from_pretrained(
            folder, local_files_only=True, use_safetensors=True, dtype=dtype, output_loading_info=True
        )
    except (OSError, ValueError, RuntimeError, SafetensorError) as error:
        raise ConfigurationError(f"the pocket-tts engine cannot load {folder}") from error
    if report["missing_keys"]:
        _refuse(f"{folder} lacks weights of the model, such as {min(report['missing_keys'])}")
    return model.eval()


def _processor(folder: Path) -> PocketTTSProcessor:
    """Tokenizer, chat template and feature extractor; the library would load the codec once more, and from the hub."""
    words = processor_words(folder)
    numbers = {name: words[name] for name in _PROCESSOR_NUMBERS if name in words}
    try:
        tokenizer = AutoTokenizer.from_pretrained(folder, local_files_only=True)
        extractor = PocketTTSFeatureExtractor.from_pretrained(folder, local_files_only=True)
    except (OSError, ValueError) as error:
        raise ConfigurationError(f"the pocket-tts engine cannot read tokenizer and features of {folder}") from error
    template = folder / "chat_template.jinja"
    chat = template.read_text("utf-8") if template.is_file() else tokenizer.chat_template
    if not chat:
        _refuse(f"{folder} has no chat template, which says how a prompt is written")
    return PocketTTSProcessor(extractor, tokenizer, chat_template=chat, **numbers)


def _refuse(why: str) -> NoReturn:
    raise ConfigurationError(f"the pocket-tts engine cannot use this checkpoint: {why}")
