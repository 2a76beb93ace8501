"""How long will the engine take here?  Measured while it loads, because a GPU and a CPU differ a hundredfold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

_CHARACTERS_PER_SECOND: Final = 14.0
"""Of read English: 200 characters take about 14 s."""
_CHARACTERS_PER_TOKEN: Final = 4.0
"""Of the model's text tokens: 50 of them are a chunk of about 200 characters in the original runtime."""
_VOICE_SECONDS: Final = 10.0
"""Of the reference behind a voice: what is advised; the cost of a job is predicted before its voice is known."""
_RESERVE: Final = 1.25
"""A quarter more than measured, so that admission promises no more than the engine keeps."""
_LEAST_SECONDS: Final = 1e-6


@dataclass(frozen=True)
class Pace:
    """What one job costs when it runs alone, in seconds of engine time."""

    per_prompt_position: float
    """Of reading a frame of the voice or a token of the text."""
    per_frame: float
    """Of making a frame of speech, samples included."""
    per_reference_second: float
    """Of encoding a reference."""
    frames_per_second: float
    """Of the model's speech and voices."""

    def synthesis_seconds(self, text: str) -> float:
        """Predicted engine time of one job."""
        positions = _VOICE_SECONDS * self.frames_per_second + len(text) / _CHARACTERS_PER_TOKEN
        frames = len(text) / _CHARACTERS_PER_SECOND * self.frames_per_second
        return max(_LEAST_SECONDS, _RESERVE * (positions * self.per_prompt_position + frames * self.per_frame))

    def extraction_seconds(self, reference_seconds: float) -> float:
        """Predicted engine time of one extraction."""
        return max(_LEAST_SECONDS, _RESERVE * reference_seconds * self.per_reference_second)
