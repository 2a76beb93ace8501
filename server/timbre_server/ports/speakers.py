"""What does a judge of speakers promise?"""

from __future__ import annotations

from typing import Protocol

import numpy as np

from timbre_server.domain.pcm import Pcm


class SpeakerVerifier(Protocol):
    """Tells whether two recordings are of one speaker."""

    @property
    def threshold(self) -> float:
        """Cosine at and above which two recordings count as one speaker."""
        ...

    def embed(self, pcm: Pcm) -> np.ndarray[tuple[int], np.dtype[np.float32]]:
        """A unit vector for the voice, float32, shape [256]; thread-safe, 0.1 to 0.3 s of CPU per 10 s of speech."""
        ...
