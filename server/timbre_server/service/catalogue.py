"""Which models does this service answer for?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

from timbre_server.errors import ModelNotFound
from timbre_server.ports import EngineDescriptor

ALIASES: Final = ("tts-1", "tts-1-hd", "gpt-4o-mini-tts", "gpt-4o-mini-tts-2025-12-15")
"""The models of OpenAI's ``POST /v1/audio/speech`` (its API reference, v2.3.0): programs that name them run unchanged."""

FIRST_RELEASE: Final = 1_795_305_600
"""2026-11-22 in Unix time: models carry a date, and one that differed between pods would tell nothing."""


@dataclass(frozen=True)
class Model:
    """A name that a speech request may give as ``model``."""

    id: str
    created_at: int
    """Unix time in seconds."""


class ModelCatalogue:
    """The engine's own model and its aliases."""

    def __init__(self, descriptor: EngineDescriptor, *, created_at: int = FIRST_RELEASE) -> None:
        names = dict.fromkeys((descriptor.model_id, *ALIASES))
        self._models = {name: Model(name, created_at) for name in names}

    def models(self) -> tuple[Model, ...]:
        """All of them, the engine's own first."""
        return tuple(self._models.values())

    def model(self, name: str) -> Model:
        """The model of that name.

        Raises:
            ModelNotFound: this service has no such model.
        """
        try:
            return self._models[name]
        except KeyError:
            known = ", ".join(self._models)
            raise ModelNotFound(f"this service does not serve that model; it serves {known}", param="model") from None
