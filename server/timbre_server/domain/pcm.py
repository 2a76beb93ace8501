"""Uncompressed mono audio: what do engines and codecs hand to each other?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Samples = NDArray[np.float32]
"""Mono samples, shape [n], full scale = 1.0."""

Array = NDArray[Any]


@dataclass(frozen=True, eq=False)
class Pcm:
    """A stretch of mono audio."""

    samples: Samples
    """float32, shape [n], full scale = 1.0."""
    sample_rate_hz: int

    @property
    def duration_seconds(self) -> float:
        """How long it plays."""
        return len(self.samples) / self.sample_rate_hz
