"""The speaker encoder, loaded by whoever first needs it: a server without consents never pays for it."""

from __future__ import annotations

import threading

import numpy as np

from timbre_server.domain.pcm import Pcm
from timbre_server.engine.speaker.encoder import THRESHOLD, SpeakerEncoder


class LazySpeakerVerifier:
    """``ports.SpeakerVerifier`` that reads its weights on first use; thread-safe."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._encoder: SpeakerEncoder | None = None

    @property
    def threshold(self) -> float:
        return THRESHOLD

    def embed(self, pcm: Pcm) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        with self._lock:
            if self._encoder is None:
                self._encoder = SpeakerEncoder.load()
        return self._encoder.embed(pcm)
