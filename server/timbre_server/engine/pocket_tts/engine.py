"""The pocket-tts engine as the port sees it: jobs in, pieces of speech out."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from types import MappingProxyType
from typing import Any, Final

import numpy as np
import torch  # type: ignore[import-not-found,unused-ignore]
from transformers.utils import logging as transformers_logging  # type: ignore[import-not-found,unused-ignore]

from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import SpeechParameters
from timbre_server.domain.voice import Features, Reference
from timbre_server.engine.pocket_tts import text
from timbre_server.engine.pocket_tts.checkpoint import fetched
from timbre_server.engine.pocket_tts.description import LATENTS, describe
from timbre_server.engine.pocket_tts.faults import Device, chosen
from timbre_server.engine.pocket_tts.generation import Speaking, seed_of
from timbre_server.engine.pocket_tts.model import LoadedModel
from timbre_server.engine.pocket_tts.options import Options
from timbre_server.engine.pocket_tts.pace import Pace
from timbre_server.engine.pocket_tts.reference import checked
from timbre_server.errors import ConfigurationError, EngineError
from timbre_server.ports import EngineDescriptor, Piece, Utterance

_NOTHING: Final[Samples] = np.zeros(0, np.float32)
_WARM_UP_TEXT: Final = "This is what the engine says first."
_WARM_UP_FRAMES: Final = 8
"""After the first one: three pieces end in them, as long as a job's earliest end allows."""
_WARM_UP_SECONDS: Final = 5.0
"""Of a recording; what the makers advise to clone from."""
_TIMES: Final = 2
"""The faster one counts: a machine that is busy elsewhere for a moment must not look slow for good."""


@dataclass(frozen=True, eq=False)
class _Loaded:
    """What exists between ``load`` and ``close``."""

    model: LoadedModel
    pace: Pace


class PocketTtsEngine:
    """``ports.Engine`` on a checkpoint of Pocket TTS; ``Options`` says what ``options`` may hold.

    The constructor reads a local checkpoint once, for its revision (440 MB take about a second), or gets the small
    files of a repository; ``load`` reads the weights.
    """

    def __init__(self, options: Mapping[str, object] = MappingProxyType({})) -> None:
        self._options = Options.parsed(options)
        try:
            device = chosen(self._options.device)
        except RuntimeError as error:
            raise ConfigurationError(f"torch knows no device {self._options.device!r}") from error
        self._device = Device(device)
        # On a CPU plain arrays in host memory are as near as tensors, and one tier is enough.
        self._description = describe(self._options, "" if device.type == "cpu" else str(device))
        self._loaded: _Loaded | None = None

    @classmethod
    def from_options(cls, options: Mapping[str, object]) -> PocketTtsEngine:
        """As the constructor: what the settings call for every engine."""
        return cls(options)

    @property
    def descriptor(self) -> EngineDescriptor:
        return self._description.descriptor

    def load(self) -> None:
        if self._device.device.type == "cuda" and not torch.cuda.is_available():
            raise ConfigurationError(f"the pocket-tts engine shall use {self._device.device}, but torch sees no CUDA")
        if self._options.threads is not None:
            torch.set_num_threads(self._options.threads)
        transformers_logging.disable_progress_bar()
        model = self._device.attempt(self._read)
        self._loaded = _Loaded(model, self._device.attempt(partial(self._measured, model)))

    def close(self) -> None:
        self._loaded = None
        self._device.give_back()

    def split(self, text_to_say: str, language: str = "") -> Sequence[str]:
        return text.split(text_to_say, language, self.descriptor.languages)

    def encode(self, references: Sequence[Reference]) -> Sequence[Features]:
        model = self._ready().model
        recordings = [checked(each, self.descriptor.sample_rate_hz) for each in references]
        return [_features(self._device.attempt(partial(_encoded, model, each))) for each in recordings]

    def synthesize(self, batch: Sequence[Utterance], cancelled: Callable[[int], bool]) -> Iterator[Piece]:
        """All jobs in step, a frame of 80 ms each; a job's last piece is its last stretch, or nothing if it was left."""
        model = self._ready().model
        speaking = self._device.attempt(partial(_begun, model, batch))
        try:
            while speaking.indices:
                gone = [index for index in speaking.indices if cancelled(index)]
                self._device.attempt(partial(speaking.drop, gone))
                yield from (Piece(index, _NOTHING, last=True) for index in gone)
                if speaking.indices:
                    spoken = self._device.attempt(speaking.advance, speaking.release)
                    yield from (Piece(each.index, each.samples, each.last) for each in spoken)
        finally:
            speaking.release()

    def preset_voices(self) -> Mapping[str, Features]:
        return {}

    def synthesis_cost_seconds(self, utterance_text: str, parameters: SpeechParameters) -> float:
        del parameters  # none of them changes how long it takes
        return self._ready().pace.synthesis_seconds(utterance_text)

    def extraction_cost_seconds(self, reference_seconds: float) -> float:
        return self._ready().pace.extraction_seconds(reference_seconds)

    def health(self) -> str | None:
        return self._device.broken or (None if self._loaded else "The pocket-tts engine is not loaded.")

    def _ready(self) -> _Loaded:
        if self._loaded is None:
            raise EngineError("The pocket-tts engine is not loaded.")
        return self._loaded

    def _read(self) -> LoadedModel:
        folders = fetched(self._options.model), fetched(self._options.codec)
        return LoadedModel(*folders, device=self._device.device, dtype=self._options.dtype)

    def _measured(self, model: LoadedModel) -> Pace:
        """How long things take here; the first time does not count, for what it allocates and compiles."""
        samples = np.zeros(round(_WARM_UP_SECONDS * self.descriptor.sample_rate_hz), np.float32)
        voice = model.encoded(samples)
        job = Utterance(_WARM_UP_TEXT, {LATENTS: voice})
        positions = len(model.prompt(_WARM_UP_TEXT, voice).ids)
        _spoken_seconds(model, job)
        spoken = [_spoken_seconds(model, job) for _ in range(_TIMES)]
        encoding = min(_seconds(lambda: model.encoded(samples).cpu()) for _ in range(_TIMES))
        return Pace(
            per_prompt_position=min(reading for reading, _ in spoken) / positions,
            per_frame=min(making for _, making in spoken) / _WARM_UP_FRAMES,
            per_reference_second=encoding / _WARM_UP_SECONDS,
            frames_per_second=self._description.frames_per_second,
        )


def _seconds(work: Callable[[], object]) -> float:
    began = time.perf_counter()
    work()
    return time.perf_counter() - began


def _spoken_seconds(model: LoadedModel, job: Utterance) -> tuple[float, float]:
    """How long the prompt took with its first frame, and then ``_WARM_UP_FRAMES`` frames."""
    speaking = _begun(model, [job])
    reading = _seconds(speaking.advance)
    making = _seconds(lambda: _speak_frames(speaking, _WARM_UP_FRAMES))
    speaking.release()
    return reading, making


def _speak_frames(speaking: Speaking, frames: int) -> None:
    for _ in range(frames):
        if speaking.indices:
            speaking.advance()


def _begun(model: LoadedModel, batch: Sequence[Utterance]) -> Speaking:
    prompts = [model.prompt(job.text, _tensor(job.features[LATENTS])) for job in batch]
    return Speaking(model, prompts, [seed_of(job.text, job.parameters.seed) for job in batch])


def _tensor(latents: Any) -> torch.Tensor:
    """A voice's latents as a tensor: itself where the cache keeps it on the device, else a copy of the array."""
    return latents if isinstance(latents, torch.Tensor) else torch.from_numpy(np.array(latents))


def _encoded(model: LoadedModel, samples: Samples) -> Samples:
    array: Samples = model.encoded(samples).cpu().numpy()
    return array


def _features(latents: Samples) -> Features:
    array = np.array(latents, np.float32, order="C")
    if not np.isfinite(array).all():
        raise EngineError("the latents of this recording are not finite")
    array.flags.writeable = False
    return MappingProxyType({LATENTS: array})
