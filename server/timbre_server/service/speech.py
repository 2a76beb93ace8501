"""Speaking: from a text and a voice to a stream of samples, with every foreseeable failure before the first one."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field
from time import perf_counter
from typing import Final

from timbre_server.audio.stretch import Stretch
from timbre_server.domain.pcm import Samples
from timbre_server.domain.speech import SpeechParameters
from timbre_server.domain.text import heard_text
from timbre_server.errors import EngineError, Overloaded, TextTooLong, UnspeakableText, UnsupportedLanguage
from timbre_server.ports import Dispatcher, Engine, SpeechTimings, Utterance
from timbre_server.service.admission import Admission
from timbre_server.service.casting import Casting, OneOffReference, Role
from timbre_server.service.demand import Demand
from timbre_server.service.wishes import Plan, plan

SPLIT_ON_LOOP_CHARS: Final = 500
"""Texts up to this length are split on the event loop: at under 1 ms per 1,000 characters (``Engine.split``) that
holds it up for half a millisecond at most, about what a hop to a thread and back costs on a busy machine."""


@dataclass(frozen=True, kw_only=True)
class SpeechRequest:
    """What somebody wants to hear."""

    tenant: str
    text: str
    voice: str | None = None
    """A preset's name or an enrolled voice's id."""
    reference: OneOffReference | None = None
    """Speaks with this recording instead of ``voice``."""
    parameters: SpeechParameters = field(default_factory=SpeechParameters)
    """``speed`` may be 0.25 to 4 here, whatever the engine honours itself."""
    retry: bool = False
    """Whether the client has sent it before: then it was counted as demand before."""


class Speech:
    """Speech that is being made; read ``samples`` once and then ``aclose``, whatever happened between."""

    def __init__(
        self,
        row: AsyncIterator[Samples],
        admission: Admission,
        *,
        sample_rate_hz: int,
        tempo: float,
        voice_source: str,
        timings: SpeechTimings,
        as_asked: bool = True,
    ) -> None:
        self.as_asked = as_asked
        """Whether the voice still was the one that was found first."""
        self.sample_rate_hz = sample_rate_hz
        self.voice_source = voice_source
        """``FoundFeatures.source`` of the voice."""
        self.timings = timings
        self._row = row
        self._admission = admission
        self._tempo = tempo
        self._first: Samples | None = None

    async def begin(self) -> None:
        """Waits for the first samples.

        Raises:
            EngineError: there are none.
        """
        async for piece in self._row:
            if piece.size:
                self._first = piece
                return
        raise EngineError("the engine returned no speech for this text")

    async def samples(self) -> AsyncGenerator[Samples, None]:
        """All samples, in order, as they come; float32, shape [n], n > 0.

        Raises:
            EngineError: a later sentence failed.
        """
        async for piece in self._pieces() if self._tempo == 1.0 else self._stretched():
            if piece.size:
                yield piece

    async def aclose(self) -> None:
        """Drops whatever has not been spoken yet, at once.  Idempotent."""
        try:
            if close := getattr(
                self._row, "aclose", None
            ):  # the port promises it, ``AsyncIterator`` has no word for it
                await close()
        finally:
            self._admission.release()

    async def _pieces(self) -> AsyncGenerator[Samples, None]:
        assert self._first is not None, "begin comes first"
        yield self._first
        async for piece in self._row:
            yield piece

    async def _stretched(self) -> AsyncGenerator[Samples, None]:
        stretch = Stretch(self.sample_rate_hz, self._tempo)
        async for piece in self._pieces():
            yield await asyncio.to_thread(stretch.push, piece)
        yield await asyncio.to_thread(stretch.finish)


class SpeechService:
    """The use case: speak."""

    def __init__(
        self,
        *,
        engine: Engine,
        dispatcher: Dispatcher,
        casting: Casting,
        max_input_chars: int,
        demand: Demand | None = None,
        waiting_budget: Callable[[], AbstractContextManager[object]] = nullcontext,
    ) -> None:
        """``waiting_budget`` is entered for the search of a voice, and bounds all waits for the shared store in it.

        Without ``demand`` nobody wants to know what was asked for.
        """
        self._demand = Demand(dispatcher) if demand is None else demand
        self._waiting_budget = waiting_budget
        self._engine = engine
        self._descriptor = engine.descriptor
        self._dispatcher = dispatcher
        self._casting = casting
        self._max_input_chars = max_input_chars

    async def speak(self, request: SpeechRequest) -> Speech:
        """The speech, its first samples made: what fails early fails here, before an answer has begun.

        A place in the queue is taken before any work on the request.  The features are those of now: a voice that
        is replaced meanwhile changes nothing for this request.

        Raises:
            RequestRejected, NotFound: the request is at fault.
            Overloaded: no room in the queue.
            EngineError: the engine failed.
        """
        agreed = self.agree(request)
        with self._waiting_budget():
            role = await self._casting.role(request.tenant, request.voice, request.reference)
        return await self.speak_as(role, request, agreed)

    def agree(self, request: SpeechRequest) -> Plan:
        """What the engine will be asked for.  Raises: RequestRejected: it cannot do that."""
        if len(request.text) > self._max_input_chars:
            raise TextTooLong(f"`input` must have at most {self._max_input_chars} characters", param="input")
        return plan(request.parameters, self._descriptor)

    async def speak_as(self, role: Role, request: SpeechRequest, agreed: Plan) -> Speech:
        """As ``speak``, with a voice that was found and parameters that were agreed to."""
        with self._waiting_budget():
            speech = await self._found(role, request, agreed)
        try:
            await speech.begin()
        except BaseException:
            await speech.aclose()
            raise
        return speech

    async def _found(self, role: Role, request: SpeechRequest, agreed: Plan) -> Speech:
        """The speech, with a place in the queue and the voice's features, not begun."""
        sentences = await self._sentences(heard_text(request.text), agreed.parameters.language)
        admission = self._admission(request, self._costs_seconds(sentences, agreed.parameters))
        try:
            return await self._prepared(role, admission, sentences, agreed)
        except BaseException:
            admission.release()
            raise

    def _admission(self, request: SpeechRequest, costs_seconds: Sequence[float]) -> Admission:
        if request.retry:
            return Admission(self._dispatcher, sum(costs_seconds))
        self._demand.arrived(costs_seconds)
        try:
            return Admission(self._dispatcher, sum(costs_seconds), extracting=self._demand.extraction)
        except Overloaded:
            self._demand.refused()
            raise

    async def _prepared(self, role: Role, admission: Admission, sentences: Sequence[str], agreed: Plan) -> Speech:
        asked_for = role.identity
        began = perf_counter()  # uvloop's clock has a resolution of 1 ms, and a voice in memory takes microseconds
        found = await role(admission)
        try:
            admission.extracted()
            timings = SpeechTimings(voice_seconds=perf_counter() - began)
            row = [Utterance(sentence, found.features, agreed.parameters) for sentence in sentences]
            # The engine says when it is done with the features: it may still read them after the client has left.
            speaking = self._dispatcher.speak(row, permit=admission.permit, timings=timings.row, finished=found.release)
        except BaseException:
            found.release()
            raise
        return Speech(
            speaking,
            admission,
            sample_rate_hz=self._descriptor.sample_rate_hz,
            tempo=agreed.tempo,
            voice_source=found.source,
            timings=timings,
            as_asked=role.identity == asked_for,
        )

    async def _sentences(self, text: str, language: str) -> Sequence[str]:
        try:
            if len(text) <= SPLIT_ON_LOOP_CHARS:
                return self._engine.split(text, language)
            return await asyncio.to_thread(self._engine.split, text, language)
        except (UnspeakableText, UnsupportedLanguage) as error:
            error.param = error.param or "input"
            raise

    def _costs_seconds(self, sentences: Sequence[str], parameters: SpeechParameters) -> Sequence[float]:
        return [self._engine.synthesis_cost_seconds(sentence, parameters) for sentence in sentences]
