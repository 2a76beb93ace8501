"""How does speech get faster or slower without a change of pitch, while it streams?

FFmpeg's ``atempo`` (waveform-similarity overlap-add) does the work.
"""

from __future__ import annotations

import math
from fractions import Fraction
from typing import Final

import av
import numpy as np
from av.error import FFmpegError
from av.filter import Graph
from av.filter.context import FilterContext

from timbre_server.domain.pcm import Samples
from timbre_server.errors import EncodingError

SLOWEST: Final = 0.25
FASTEST: Final = 4.0
"""The range of OpenAI's ``speed``."""

_STEP_MIN, _STEP_MAX = 0.5, 2.0
"""One atempo takes 0.5 and more, but beyond 2 it skips samples instead of blending them (FFmpeg's manual)."""

_TAIL_SECONDS: Final = 0.2
"""Output-time silence behind the end that pushes the last speech out: more than two windows of atempo, which
are 1/24 s each, rounded up to a power of two of samples.  Without it up to 60 ms are lost, and FFmpeg 8.1 fails
on inputs shorter than a window."""


class Stretch:
    """A stream whose output lasts input / ``tempo``, exact to the sample once finished.

    A tempo of 1 passes every sample on unchanged.  The first output comes after about 0.4 s of input.
    """

    def __init__(self, sample_rate_hz: int, tempo: float) -> None:
        if not SLOWEST <= tempo <= FASTEST:
            raise ValueError(f"tempo {tempo} is outside {SLOWEST} to {FASTEST}")
        self._rate_hz = sample_rate_hz
        self._tempo = tempo
        self._graph = None if tempo == 1.0 else _TempoGraph(sample_rate_hz, tempo)
        self._taken = 0
        self._given = 0

    def push(self, samples: Samples) -> Samples:
        """What is ready after these samples; may be empty.

        Raises:
            EncodingError: the filter refused them.
        """
        if self._graph is None:
            return samples
        self._taken += len(samples)
        return self._cut(self._graph.push(samples))

    def finish(self) -> Samples:
        """The rest; no call follows.  Raises: EncodingError."""
        if self._graph is None:
            return np.zeros(0, dtype=np.float32)
        silence = np.zeros(math.ceil(_TAIL_SECONDS * self._rate_hz * max(1.0, self._tempo)), dtype=np.float32)
        return self._cut(np.concatenate([self._graph.push(silence), self._graph.finish()]))

    def _cut(self, samples: Samples) -> Samples:
        """Never more than what the input so far is worth, so that no padding gets out."""
        room = round(self._taken / self._tempo) - self._given
        kept = samples[: max(0, room)]
        self._given += len(kept)
        return kept


class _TempoGraph:
    """``atempo``, twice where one alone is out of its good range."""

    def __init__(self, sample_rate_hz: int, tempo: float) -> None:
        steps = 1 if _STEP_MIN <= tempo <= _STEP_MAX else 2
        self._rate_hz = sample_rate_hz
        self._pts = 0
        self._graph = Graph()
        self._source = self._graph.add(
            "abuffer",
            sample_rate=str(sample_rate_hz),
            sample_fmt="flt",
            channel_layout="mono",
            time_base=f"1/{sample_rate_hz}",
        )
        last = self._source
        for _ in range(steps):
            last = self._linked(last, "atempo", f"{tempo ** (1 / steps):.9f}")
        self._sink = self._linked(last, "abuffersink", None)
        self._graph.configure()

    def push(self, samples: Samples) -> Samples:
        if not len(samples):
            return samples
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(samples, dtype=np.float32)[np.newaxis], format="flt", layout="mono"
        )
        frame.sample_rate = self._rate_hz
        frame.time_base = Fraction(1, self._rate_hz)
        frame.pts = self._pts
        self._pts += len(samples)
        return self._send(frame)

    def finish(self) -> Samples:
        return self._send(None)

    def _linked(self, before: FilterContext, name: str, arguments: str | None) -> FilterContext:
        following = self._graph.add(name, arguments)
        before.link_to(following)
        return following

    def _send(self, frame: av.AudioFrame | None) -> Samples:
        pieces = [np.zeros(0, dtype=np.float32)]
        try:
            self._source.push(frame)
            while True:
                pulled = self._sink.pull()
                assert isinstance(pulled, av.AudioFrame)
                pieces.append(pulled.to_ndarray().reshape(-1).astype(np.float32))
        except (BlockingIOError, EOFError):
            return np.concatenate(pieces)  # the filter wants more input, or has given everything
        except (FFmpegError, ValueError) as error:
            raise EncodingError("The tempo of the audio could not be changed.") from error
