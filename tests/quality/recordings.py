"""The human recordings that tests and examples share: where do they lie, and how are they read?"""

from __future__ import annotations

from pathlib import Path
from typing import Final

import av
import numpy as np

from timbre_server.domain.pcm import Pcm

ROOT: Final = Path(__file__).parents[2]
FOLDERS: Final = (ROOT / "examples" / "voices", ROOT / "tests" / "quality" / "takes")


def path(name: str) -> Path:
    """The file of a shipped recording, such as ``librivox-male`` or ``librivox-male-other-take``."""
    for folder in FOLDERS:
        if (folder / f"{name}.flac").is_file():
            return folder / f"{name}.flac"
    raise FileNotFoundError(name)


def load(name: str) -> Pcm:
    """A shipped recording as mono audio at its own sample rate."""
    return read(path(name))


def read(file: Path) -> Pcm:
    """Any audio file that FFmpeg knows as mono audio at its own sample rate."""
    with av.open(file) as container:
        rate = container.streams.audio[0].rate
        resampler = av.AudioResampler(format="flt", layout="mono", rate=rate)
        frames = [*container.decode(audio=0), None]
        blocks = [block.to_ndarray()[0] for frame in frames for block in resampler.resample(frame)]
    return Pcm(np.concatenate(blocks).astype(np.float32), rate)
