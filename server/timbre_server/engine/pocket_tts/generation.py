"""How do the jobs of a batch become latents and samples together, each as if it were alone?

The loop of ``PocketTTSGenerationMixin`` written for a server: prompts padded on the left, noise of each job from its
own generator, an end for each job, places freed as jobs end, and samples as soon as there are a few frames.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

import numpy as np
import torch  # type: ignore[import-not-found,unused-ignore]
from transformers.cache_utils import DynamicCache  # type: ignore[import-not-found,unused-ignore]

from timbre_server.domain.pcm import Samples
from timbre_server.engine.pocket_tts.codec import StreamingDecoder
from timbre_server.engine.pocket_tts.ending import Ending
from timbre_server.engine.pocket_tts.model import LoadedModel, Prompt

_FIRST_FRAMES: Final = 2
"""Of the first piece: 160 ms of speech, so that it is heard early."""
_GROWTH: Final = 1.5
"""From piece to piece: no gap as long as the engine needs at most two thirds of the speech's own time."""
_MOST_FRAMES: Final = 16
"""Of a piece: 1.3 s."""


@dataclass(eq=False)
class _Row:
    """One job while it is spoken."""

    index: int
    ending: Ending
    noise: torch.Tensor
    """[budget, latent_dim] on the device; zeros where the model does not sample."""


@dataclass(frozen=True, eq=False)
class Spoken:
    """The next stretch of a job."""

    index: int
    samples: Samples
    last: bool


@dataclass(frozen=True, eq=False)
class _Inputs:
    """What the language model reads next, a row per job."""

    ids: torch.Tensor
    mask: torch.Tensor
    """Of all positions so far; 0 where a prompt was padded."""
    positions: torch.Tensor
    latents: Mapping[str, torch.Tensor]
    """Voices with the prompts, then the latent that was said last."""

    def following(self, latents: torch.Tensor, latent_token: int) -> _Inputs:
        """The step after the one that said ``latents`` [rows, latent_dim]."""
        return _Inputs(
            torch.full_like(self.ids[:, :1], latent_token),
            torch.cat([self.mask, torch.ones_like(self.mask[:, :1])], dim=1),
            self.positions[:, -1:] + 1,
            {"audio_latents": latents[:, None]},
        )

    def kept(self, rows: torch.Tensor) -> _Inputs:
        latents = {name: tensor[rows] for name, tensor in self.latents.items()}
        return _Inputs(self.ids[rows], self.mask[rows], self.positions[rows], latents)


@dataclass(eq=False)
class _Memory:
    """All that a batch holds on the device."""

    inputs: _Inputs
    past: Any
    """Keys and values of the language model."""
    decoder: StreamingDecoder
    pending: list[torch.Tensor] = field(default_factory=list)
    """Latents [rows, latent_dim] that no sample was made of yet."""


class Speaking:
    """A batch between its first and its last frame.

    Every method raises what torch raises; ``faults`` gives that a meaning.
    """

    def __init__(self, model: LoadedModel, prompts: Sequence[Prompt], seeds: Sequence[int]) -> None:
        self._model = model
        self._rows = [
            _Row(index, model.ending(prompt), model.noise(seed, prompt.frame_budget))
            for index, (prompt, seed) in enumerate(zip(prompts, seeds, strict=True))
        ]
        self._planned = float(_FIRST_FRAMES)
        self._frames = 0
        with torch.inference_mode():
            past = DynamicCache(config=model.language_model.config)
            self._memory: _Memory | None = _Memory(_padded(model, prompts), past, StreamingDecoder(model.codec))

    @property
    def indices(self) -> list[int]:
        """The jobs that still speak."""
        return [row.index for row in self._rows]

    def drop(self, gone: Sequence[int]) -> None:
        """Ends these jobs without another sample."""
        self._keep([place for place, row in enumerate(self._rows) if row.index not in gone])

    def advance(self) -> list[Spoken]:
        """One frame of every job; samples once a piece is complete or a job has ended."""
        memory = self._memory
        assert memory is not None, "a batch that was released speaks no more"
        with torch.inference_mode():
            logits = self._step(memory)
            ended = [row.ending.ends_with(logit) for row, logit in zip(self._rows, logits, strict=True)]
            if not any(ended) and len(memory.pending) < int(self._planned):
                return []
            samples = self._decoded(memory)
        spoken = [
            Spoken(row.index, np.ascontiguousarray(samples[place]), ended[place])
            for place, row in enumerate(self._rows)
        ]
        self._keep([place for place, is_over in enumerate(ended) if not is_over])
        return spoken

    def release(self) -> None:
        """Lets go of all memory on the device."""
        self._rows = []
        self._memory = None

    def _step(self, memory: _Memory) -> list[float]:
        """The end-of-speech logit of each job's next frame, whose latents are now pending."""
        inputs = memory.inputs
        out = self._model.language_model(
            input_ids=inputs.ids,
            attention_mask=inputs.mask,
            position_ids=inputs.positions,
            past_key_values=memory.past,
            use_cache=True,
            **inputs.latents,
        )
        condition = out.last_hidden_state[:, -1]
        noise = torch.stack([row.noise[self._frames] for row in self._rows]).to(condition.dtype)
        latents = self._model.sampled(condition, noise)
        self._frames += 1
        memory.pending.append(latents)
        memory.inputs = inputs.following(latents, self._model.latent_token)
        logits: list[float] = out.logits[:, -1, 0].float().tolist()
        return logits

    def _decoded(self, memory: _Memory) -> Samples:
        """Samples [rows, n] of what is pending."""
        is_first = len(memory.pending) == self._frames
        latents = self._model.in_codec_space(torch.stack(memory.pending, dim=1))
        memory.pending = []
        self._planned = min(self._planned * _GROWTH, float(_MOST_FRAMES))
        samples: Samples = memory.decoder.decode(latents).clamp(-1.0, 1.0).float().cpu().numpy()
        if is_first:
            fade = self._model.fade_in
            samples[:, : len(fade)] *= fade[: samples.shape[1]]
        return samples

    def _keep(self, places: Sequence[int]) -> None:
        """Goes on with these rows only."""
        memory = self._memory
        if memory is None or len(places) == len(self._rows):
            return
        self._rows = [self._rows[place] for place in places]
        if not self._rows:
            self.release()
            return
        with torch.inference_mode():
            kept = torch.tensor(places, device=self._model.device)
            memory.inputs = memory.inputs.kept(kept)
            memory.pending = [latents[kept] for latents in memory.pending]
            memory.past.batch_select_indices(kept)
            memory.decoder.keep(kept)


def seed_of(text: str, seed: int) -> int:
    """The seed of a job's noise: sentences of one request share their seed and shall not share their noise."""
    return int.from_bytes(hashlib.sha256(f"{seed}\0{text}".encode()).digest()[:8], "little", signed=True)


def _padded(model: LoadedModel, prompts: Sequence[Prompt]) -> _Inputs:
    """The prompts, padded on the left, and their voices, padded on the right, on the device."""
    length = max(len(prompt.ids) for prompt in prompts)
    ids = [[model.pad_token] * (length - len(prompt.ids)) + list(prompt.ids) for prompt in prompts]
    mask = [[0] * (length - len(prompt.ids)) + [1] * len(prompt.ids) for prompt in prompts]
    ids_here, mask_here = torch.tensor(ids, device=model.device), torch.tensor(mask, device=model.device)
    voices = torch.nn.utils.rnn.pad_sequence([prompt.voice for prompt in prompts], batch_first=True)
    frames = torch.tensor([len(prompt.voice) for prompt in prompts], device=model.device)
    voice_mask = torch.arange(voices.shape[1], device=model.device)[None] < frames[:, None]
    return _Inputs(
        ids_here,
        mask_here,
        (mask_here.cumsum(-1) - 1).clamp(min=0),
        {"audio_prompt_latents": voices, "audio_prompt_latents_mask": voice_mask.long()},
    )
