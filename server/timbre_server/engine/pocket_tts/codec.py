"""How do latents of the codec become samples piece by piece, equal to decoding them all at once?

The codec's decoder is causal, so each stage is carried on where it stopped: the upsampling needs one latent frame of
the past, its transformer keeps keys and values, and the convolutions are given back the inputs that they reach.
"""

from __future__ import annotations

import math
from typing import Any, Final

import torch  # type: ignore[import-not-found,unused-ignore]
from transformers import PocketTTSAudioTokenizerModel  # type: ignore[import-not-found,unused-ignore]
from transformers.cache_utils import DynamicCache  # type: ignore[import-not-found,unused-ignore]

_UPSAMPLED_FRAMES: Final = 1
"""A transposed convolution with a kernel of two strides reaches one frame back."""


class StreamingDecoder:
    """Samples of a batch of jobs whose latents come a few frames at a time, all jobs in step.

    Call it inside ``torch.inference_mode``.
    """

    def __init__(self, codec: PocketTTSAudioTokenizerModel) -> None:
        self._codec = codec
        self._decoder: Any = codec.decoder
        config = codec.config
        self._reach = reached_positions(config)
        self._samples_per_position = config.frame_size // config.latent_stride
        self._positions_per_frame = config.latent_stride
        self._transformer_past = DynamicCache(config=self._decoder.config)
        self._last_latent: torch.Tensor | None = None
        self._last_hidden: torch.Tensor | None = None

    def decode(self, latents: torch.Tensor) -> torch.Tensor:
        """Samples [batch, frames * frame_size] of the next latents [batch, frames, latent_dim]."""
        hidden = self._upsampled(latents)
        hidden = self._decoder.decoder_transformer(
            hidden.transpose(1, 2), past_key_values=self._transformer_past, use_cache=True
        ).last_hidden_state.transpose(1, 2)
        return self._convolved(hidden)

    def keep(self, rows: torch.Tensor) -> None:
        """Goes on with these jobs of the batch only."""
        self._transformer_past.batch_select_indices(rows)
        if self._last_latent is not None and self._last_hidden is not None:
            self._last_latent = self._last_latent[rows]
            self._last_hidden = self._last_hidden[rows]

    def _upsampled(self, latents: torch.Tensor) -> torch.Tensor:
        projected = self._codec.latent_proj(latents.transpose(1, 2))
        known = self._last_latent
        self._last_latent = projected[..., -_UPSAMPLED_FRAMES:]
        if known is None:
            return self._decoder.upsample(projected)
        upsampled = self._decoder.upsample(torch.cat([known, projected], dim=-1))
        return upsampled[..., known.shape[-1] * self._positions_per_frame :]

    def _convolved(self, hidden: torch.Tensor) -> torch.Tensor:
        known = self._last_hidden
        whole = hidden if known is None else torch.cat([known, hidden], dim=-1)
        self._last_hidden = whole[..., -self._reach :]
        samples = self._decoder.decoder_seanet(whole)[:, 0]
        return samples if known is None else samples[:, known.shape[-1] * self._samples_per_position :]


def reached_positions(config: Any) -> int:
    """How many inputs of the past the decoder's convolutions reach: positions at the upsampled rate, rounded up."""
    residual = sum(
        (config.residual_kernel_size - 1) * config.dilation_growth_rate**layer
        for layer in range(config.num_residual_layers)
    )
    reach = float(config.kernel_size - 1)
    finer = 1
    for ratio in config.upsampling_ratios:
        reach += 1 / finer  # a transposed convolution with a kernel of two strides: one input back
        finer *= ratio
        reach += residual / finer
    positions: int = math.ceil(reach + (config.last_kernel_size - 1) / finer)
    return positions
