"""What is this engine, as far as its small files tell?"""

from __future__ import annotations

import hashlib
import json
from dataclasses import dataclass
from typing import Final

from transformers import (  # type: ignore[import-not-found,unused-ignore]
    PocketTTSAudioTokenizerConfig,
    PocketTTSConfig,
)

from timbre_server.engine.pocket_tts.checkpoint import Checkpoint, described, processor_words
from timbre_server.engine.pocket_tts.options import Options
from timbre_server.engine.pocket_tts.reference import MIN_VOICED_SECONDS
from timbre_server.errors import ConfigurationError
from timbre_server.ports import EngineDescriptor, TensorSpec

MAX_BATCH: Final = 16
"""Jobs at once.  Keys and values of one with a voice of 30 s and 20 s of speech take 34 MB in float32 (6 layers of
1,024, 700 positions); the language model reads its weights once for all of them."""
LATENTS: Final = "latents"
"""The name of a voice's only array."""

_ENCODER: Final = 1
"""Counted up with every change of this package that moves the features of an equal reference."""
_SPEAKER: Final = 1
"""Counted up with every change of this package after which an equal text sounds different."""
_FEATURE_DTYPE: Final = "float32"
_BYTES_PER_VALUE: Final = 4


@dataclass(frozen=True)
class Description:
    """Both halves of the model, and what follows from them before any weight is loaded."""

    model: Checkpoint
    codec: Checkpoint
    descriptor: EngineDescriptor
    frames_per_second: float


def describe(options: Options, device: str) -> Description:
    """What the engine will be; ``device`` in torch's words.

    Raises:
        ConfigurationError: the checkpoint is not there, or is none of this model, or its halves do not belong together.
    """
    model = described(options.model, "pocket_tts")
    codec = described(options.codec, "pocket_tts_audio_tokenizer")
    config = PocketTTSConfig.from_pretrained(model.folder, local_files_only=True)
    codec_config = PocketTTSAudioTokenizerConfig.from_pretrained(codec.folder, local_files_only=True)
    if config.latent_dim != codec_config.latent_dim or config.frame_rate != codec_config.frame_rate:
        raise ConfigurationError(f"the pocket-tts engine's model {model.name} and codec {codec.name} do not fit")
    descriptor = EngineDescriptor(
        name="pocket-tts",
        model_id=model.name,
        revision=f"{model.revision}.{codec.revision}.{options.dtype}",
        encoder_id="pocket-tts-latents",
        encoder_config_hash=_encoder_config_hash(model, codec),
        sample_rate_hz=codec_config.sampling_rate,
        feature_spec={LATENTS: TensorSpec(_FEATURE_DTYPE, (None, config.latent_dim))},
        feature_bytes_per_second=config.frame_rate * config.latent_dim * _BYTES_PER_VALUE,
        max_cross_voice_batch=MAX_BATCH,
        max_batch_size=MAX_BATCH,
        max_encode_batch=1,
        streams=True,
        languages=options.languages,
        min_voiced_seconds=MIN_VOICED_SECONDS,
        device=device,
        speech_config_hash=str(_SPEAKER),
    )
    return Description(model, codec, descriptor, config.frame_rate)


def _encoder_config_hash(model: Checkpoint, codec: Checkpoint) -> str:
    """Over the codec's weights and what is done to a recording before it: the feature extractor's numbers."""
    digest = hashlib.sha256(f"{_ENCODER}\0{codec.revision}\0".encode())
    digest.update(json.dumps(processor_words(model.folder).get("feature_extractor"), sort_keys=True).encode())
    extractor = model.folder / "preprocessor_config.json"
    if extractor.is_file():
        digest.update(extractor.read_bytes())
    return digest.hexdigest()
