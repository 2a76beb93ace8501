"""What does one listener get of speech that others may hear too?"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from typing import Final, Protocol

from timbre_server.audio.quantisation import from_int16, from_little_endian
from timbre_server.audio.raw_encoder import PCM_SAMPLE_RATE_HZ, WAV_HEADER_BYTES
from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import AudioFormat
from timbre_server.ports import Blob, Outcome, ResultName, SpeechTimings
from timbre_server.resultcache.arrivals import Arrivals
from timbre_server.resultcache.audience import Audience
from timbre_server.resultcache.flights import Flight
from timbre_server.resultcache.memory import Form
from timbre_server.resultcache.performance import Performance
from timbre_server.resultcache.takes import BYTES_PER_SAMPLE, Label

PIECE_SECONDS: Final = 1.0
"""Of kept speech that has to be encoded: about 10 ms of LAME, so that first bytes are early and hops to its thread few."""


class KeepFile(Protocol):
    """Keeps a file of a take."""

    def __call__(
        self, name: ResultName, label: Label, audio_format: AudioFormat, file: bytes, *, audio_seconds: float
    ) -> bool: ...


def is_made_of_samples(audio_format: AudioFormat, sample_rate_hz: int) -> bool:
    """Whether a file of that format is the WAV that is kept, or its samples, so that it is not kept beside it."""
    return audio_format is AudioFormat.WAV or (audio_format is AudioFormat.PCM and sample_rate_hz == PCM_SAMPLE_RATE_HZ)


class Listener:
    """Somebody who asked for a speech, noted from then on until he leaves: it may be erased or replaced meanwhile."""

    __slots__ = ("_arrival", "_arrivals", "_group")

    def __init__(self, name: ResultName, audience: Audience, arrivals: Arrivals) -> None:
        self._group = audience.enter(name.digest)
        self._arrivals = arrivals
        self._arrival = arrivals.expect(name)

    @property
    def may_keep(self) -> bool:
        """Whether what he asked for, or a file of it, may be kept: not if it was erased or replaced since, or he has left."""
        return self._arrival.may_be_kept

    def leave(self) -> None:
        """Hears no more.  Idempotent."""
        self._arrivals.over(self._arrival)
        group, self._group = self._group, None
        if group is not None:
            group.leave()


class KeptHearing:
    """``Take`` over speech that is whole."""

    def __init__(
        self,
        name: ResultName,
        label: Label,
        form: Form,
        *,
        outcome: Outcome,
        age_seconds: float | None,
        listener: Listener,
        keep_file: KeepFile,
    ) -> None:
        self.id = label.id
        self.kept_as: ResultName | None = name
        self.outcome = outcome
        self.voice_source = ""  # none was needed
        self.age_seconds = age_seconds
        self.audio_seconds: float | None = form.audio_seconds
        self.sample_rate_hz = label.sample_rate_hz
        self.timings = SpeechTimings()
        self._name = name
        self._label = label
        self._form = form.format
        self._content = form.content
        self._listener = listener
        self._keep_file = keep_file

    def encoded(self, audio_format: AudioFormat) -> Sequence[Blob] | None:
        if self._form is audio_format:
            return (self._content,)
        if self._form is not None or not is_made_of_samples(audio_format, self.sample_rate_hz):
            return None
        if audio_format is AudioFormat.WAV:
            return (self._content,)
        return (memoryview(self._content)[WAV_HEADER_BYTES:],)

    def keep_encoded(self, audio_format: AudioFormat, file: bytes, *, audio_seconds: float) -> None:
        if self._listener.may_keep:
            self._keep_file(self._name, self._label, audio_format, file, audio_seconds=audio_seconds)

    async def samples(self) -> AsyncGenerator[Samples, None]:
        assert self._form is None, "a file is not decoded again"
        piece_bytes = int(PIECE_SECONDS * self.sample_rate_hz) * BYTES_PER_SAMPLE
        view = memoryview(self._content)[WAV_HEADER_BYTES:]
        for begin in range(0, len(view), piece_bytes):
            yield from_int16(from_little_endian(bytes(view[begin : begin + piece_bytes])))

    async def aclose(self) -> None:
        self._listener.leave()


class JoinedHearing:
    """``Take`` over speech that is being made."""

    def __init__(
        self,
        flight: Flight,
        performance: Performance,
        outcome: Outcome,
        *,
        listener: Listener,
        keep_file: KeepFile,
    ) -> None:
        self.id = performance.label.id if flight.keeps else ""
        self.kept_as = flight.name if flight.keeps else None
        self.outcome = outcome
        self.age_seconds: float | None = None
        self.audio_seconds: float | None = None
        self.sample_rate_hz = performance.label.sample_rate_hz
        self.voice_source = performance.making.voice_source
        self.timings = performance.making.timings
        self._flight: Flight | None = flight
        self._performance = performance
        self._seat = performance.seat()
        self._listener = listener
        self._keep_file = keep_file

    def encoded(self, audio_format: AudioFormat) -> Sequence[Blob] | None:  # noqa: ARG002 - the port's signature
        return None

    def keep_encoded(self, audio_format: AudioFormat, file: bytes, *, audio_seconds: float) -> None:
        performance, flight = self._performance, self._flight
        whole = performance.ended and not performance.is_too_long
        if (
            flight is not None
            and flight.keeps
            and self._listener.may_keep
            and whole
            and not is_made_of_samples(audio_format, performance.label.sample_rate_hz)
        ):
            self._keep_file(flight.name, performance.label, audio_format, file, audio_seconds=audio_seconds)

    async def samples(self) -> AsyncGenerator[Samples, None]:
        async with aclosing(self._seat.hear()) as pieces:
            async for piece in pieces:
                yield piece

    async def aclose(self) -> None:
        self._listener.leave()
        self._seat.leave()
        flight, self._flight = self._flight, None
        if flight is not None:
            flight.leave()
