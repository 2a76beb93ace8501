"""A Pocket TTS checkpoint of 0.3 MB with random weights, laid out as the published ones are.

Its speech is noise; everything around it is real: tokenizer, chat template, safetensors files, voice encoder.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from tempfile import mkdtemp
from types import MappingProxyType
from typing import Final

import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    PocketTTSAudioTokenizerConfig,
    PocketTTSAudioTokenizerModel,
    PocketTTSConfig,
    PocketTTSFeatureExtractor,
    PocketTTSForConditionalGeneration,
    PocketTTSProcessor,
    PreTrainedTokenizerFast,
)

_SPECIAL: Final = {
    "audio_prompt_token": "<|voice|>",
    "audio_latent_token": "<|latent|>",
    "audio_prompt_bos_token": "<|voice_begin|>",
    "audio_bos_token": "<|audio_begin|>",
}
_TEMPLATE: Final = (
    "{% for message in messages %}{% for item in message['content'] %}"
    "{% if item['type'] == 'audio' %}<|voice_begin|><|voice|>{% else %}{{ item['text'] }}{% endif %}"
    "{% endfor %}{% endfor %}<|audio_begin|>"
)
_TRAINING_TEXT: Final = (
    "The birch canoe slid on the smooth planks. Glue the sheet to the dark blue background, please. It is easy to "
    "tell the depth of a well. These days a chicken leg is a rare dish."
)

SAMPLING: Final = MappingProxyType({"do_sample": True, "temperature": 0.7, "eos_threshold": 1e9})
"""The end of speech is never found, so that the length follows the text: the budget of frames."""


def save(folder: Path, *, seed: int = 0, generation: Mapping[str, object] = SAMPLING) -> Path:
    """Writes model and codec; returns the folder, which is what the engine's option ``path`` takes."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        tokenizer = _tokenizer()
        model = PocketTTSForConditionalGeneration(_model_config(tokenizer)).eval()
        codec = PocketTTSAudioTokenizerModel(_codec_config()).eval()
        _make_lively(model, codec)
    model.generation_config = GenerationConfig(**generation)
    model.save_pretrained(folder)
    codec.save_pretrained(folder / "audio_tokenizer")
    features = PocketTTSFeatureExtractor(frame_size=1920, pad_to_multiple_of=1920)
    PocketTTSProcessor(features, tokenizer, chat_template=_TEMPLATE).save_pretrained(folder)
    return folder


def _tokenizer() -> PreTrainedTokenizerFast:
    pairs = Tokenizer(models.BPE())
    pairs.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    pairs.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    pairs.train_from_iterator(
        [_TRAINING_TEXT], trainers.BpeTrainer(vocab_size=500, initial_alphabet=alphabet, show_progress=False)
    )
    return PreTrainedTokenizerFast(
        tokenizer_object=pairs, pad_token="<|pad|>", padding_side="left", extra_special_tokens=dict(_SPECIAL)
    )


def _model_config(tokenizer: PreTrainedTokenizerFast) -> PocketTTSConfig:
    ids = {f"{name}_id": tokenizer.convert_tokens_to_ids(token) for name, token in _SPECIAL.items()}
    return PocketTTSConfig(
        vocab_size=len(tokenizer), hidden_size=32, num_hidden_layers=2, num_attention_heads=2, intermediate_size=64,
        latent_dim=8, pad_token_id=tokenizer.pad_token_id, **ids,
        flow_head_config={"hidden_size": 32, "num_hidden_layers": 2, "condition_dim": 32, "latent_dim": 8},
    )  # fmt: skip


def _codec_config() -> PocketTTSAudioTokenizerConfig:
    return PocketTTSAudioTokenizerConfig(
        hidden_size=16, num_filters=4, num_hidden_layers=2, intermediate_size=32, num_attention_heads=2,
        num_key_value_heads=2, upsample_groups=16, latent_dim=8,
    )  # fmt: skip


def _make_lively(model: PocketTTSForConditionalGeneration, codec: PocketTTSAudioTokenizerModel) -> None:
    """Larger weights than a fresh network's, so that voice, text and noise are heard, and samples below full scale."""
    with torch.no_grad():
        for parameter in model.parameters():
            if parameter.ndim > 1:
                parameter.mul_(4.0)
        codec.decoder.decoder_seanet.layers[-1].conv.weight.mul_(0.1)


@cache
def shared() -> Path:
    """One checkpoint for all tests that change nothing in it."""
    return save(Path(mkdtemp(prefix="timbre-tiny-pocket-tts-")))
