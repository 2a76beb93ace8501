"""How does a stream of samples change its rate piece by piece?"""

from __future__ import annotations

import numpy as np
import soxr

from timbre_server.domain.pcm import Samples


class Resampler:
    """A stream from one rate to another; equal rates pass through untouched.

    Piece sizes do not change the result, and in total ``n`` samples become ``n * to_hz / from_hz``, rounded.
    """

    def __init__(self, from_hz: int, to_hz: int) -> None:
        # "HQ" is soxr's default: stop band at -120 dB, far below the -98 dB floor of 16 bits.
        self._stream = (
            None if from_hz == to_hz else soxr.ResampleStream(from_hz, to_hz, 1, dtype="float32", quality="HQ")
        )

    def push(self, samples: Samples) -> Samples:
        """What is ready after these samples; may be empty."""
        return self._chunk(samples, last=False)

    def finish(self) -> Samples:
        """The rest; no call follows."""
        return self._chunk(np.zeros(0, dtype=np.float32), last=True)

    def _chunk(self, samples: Samples, *, last: bool) -> Samples:
        if self._stream is None:
            return samples
        resampled: Samples = self._stream.resample_chunk(np.ascontiguousarray(samples, dtype=np.float32), last=last)
        return resampled
