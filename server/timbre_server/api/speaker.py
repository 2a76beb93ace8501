"""What do the routes that answer with speech work with?"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass

from timbre_server.service.cached_speech import CachedSpeechService
from timbre_server.service.catalogue import ModelCatalogue
from timbre_server.service.links import SpeechLinks
from timbre_server.telemetry.metrics import Metrics


@dataclass(frozen=True)
class Speaker:
    """The parts of a server that speaks."""

    speech: CachedSpeechService
    catalogue: ModelCatalogue
    metrics: Metrics
    encoders: Executor
    """Where audio is encoded, off the event loop."""
    links: SpeechLinks | None = None
    """None: no answer carries a link."""
