"""When has the model said all of a job?"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Final

_TOKENS_PER_SECOND: Final = 3.0
_EXTRA_SECONDS: Final = 2.0
"""The budget of the original runtime (pocket-tts 4.0, ``TTSModel``; ``PocketTTSGenerationMixin.generate``): slow speech
says three tokens a second, and two seconds are in reserve."""


def frame_budget(text_tokens: int, frames_per_second: float) -> int:
    """After how many frames a job ends even if the model finds no end."""
    return math.ceil((text_tokens / _TOKENS_PER_SECOND + _EXTRA_SECONDS) * frames_per_second)


@dataclass
class Ending:
    """The end of one job: the first frame whose logit is above the threshold, and some more that let the codec close.

    Each job counts for itself, so that its length does not depend on the others of its batch.
    """

    threshold: float
    """Above it a frame's logit says end of speech."""
    first_frame: int
    """From which frame on, counted from 0, that is believed."""
    tail_frames: int
    """How many frames follow."""
    budget: int
    """After how many frames it ends in any case."""
    frames: int = 0
    """How many there are."""
    _left: int | None = None

    def ends_with(self, logit: float) -> bool:
        """Takes note of the next frame's logit; whether that frame is the last."""
        if self._left is not None:
            self._left -= 1
        elif self.frames >= self.first_frame and logit > self.threshold:
            self._left = self.tail_frames
        self.frames += 1
        return self._left == 0 or self.frames >= self.budget
