"""``POST /v1/audio/speech``: OpenAI's speech, as bytes or as server-sent events, leaving while it is being made."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing

from starlette.requests import Request
from starlette.types import ASGIApp, Receive, Scope, Send

from timbre_contract.api import SPEECH_PATH
from timbre_server.api import events
from timbre_server.api.bodies import read_speech
from timbre_server.api.cache_control import has_copy, wish_from
from timbre_server.api.connection import while_connected
from timbre_server.api.encoded import EncodedSpeech
from timbre_server.api.errors import error_object, logged_error_response, method_not_allowed
from timbre_server.api.known_requests import Form, KnownRequests
from timbre_server.api.plain_requests import is_plain, read_body, replayed
from timbre_server.api.speaker import Speaker
from timbre_server.api.speech_headers import UNBUFFERED, HeaderList, cache_headers, speech_headers, tag_of
from timbre_server.audio.encoding import CONTENT_TYPES
from timbre_server.domain.speech import AudioFormat, StreamFormat
from timbre_server.errors import TimbreError
from timbre_server.ports import Outcome, Take
from timbre_server.service.cached_speech import Asked, Recall
from timbre_server.service.speech import SpeechRequest
from timbre_server.telemetry.log import get_logger

_LOG = get_logger("api.speech")


class SpeechRoute:
    """The route that speaks, as a bare ASGI application.

    FastAPI's routing, middleware and injection would add 0.3 ms to each of its answers (``make bench
    ROW=overhead``), for a body that is parsed here anyway.
    """

    path = SPEECH_PATH
    """What the metrics call it: the edge reads it from ``scope["route"]``, as for any other route."""

    def __init__(self, speaker: Speaker, *, tenant: str, max_upload_bytes: int) -> None:
        self._speaker = speaker
        self._tenant = tenant
        self._max_upload_bytes = max_upload_bytes
        self._known = KnownRequests()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self
        try:
            if is_plain(scope):
                body = await read_body(receive)
                if known := self._known.get(self._tenant, body):
                    recall, form = known
                    if take := await self._speaker.speech.again(recall, form.audio_format):
                        await Answer(self._speaker, form, scope["headers"]).deliver(take, recall, receive, send)
                        return
                receive = replayed(body, receive)
            else:
                body = None
            response = await self._response(Request(scope, receive, send), body)
            await response(scope, receive, send)
        except TimbreError as error:
            await logged_error_response(error)(scope, receive, send)

    async def _response(self, request: Request, body: bytes | None) -> ASGIApp:
        if request.method != "POST":
            return method_not_allowed({"POST"})
        started = time.perf_counter()
        parsed, wanted = await read_speech(request, self._tenant, max_reference_bytes=self._max_upload_bytes)
        self._speaker.catalogue.model(parsed.model)
        form = Form(
            parsed.response_format or AudioFormat.MP3, parsed.stream_format is StreamFormat.SSE, len(wanted.text)
        )

        def kept(recall: Recall) -> None:
            if body is not None:
                self._known.put(body, recall, form)

        return SpokenResponse(self._speaker, wanted, form, started=started, kept=kept)


class SpokenResponse:
    """An answer, as an ASGI application, that begins with the first audio and ends the work as soon as its client leaves."""

    def __init__(
        self,
        speaker: Speaker,
        wanted: SpeechRequest,
        form: Form,
        *,
        started: float,
        kept: Callable[[Recall], None],
    ) -> None:
        """``kept`` is called if an equal request could be answered with the same speech."""
        self._speaker = speaker
        self._wanted = wanted
        self._form = form
        self._started = started
        self._tell_kept = kept

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        headers = scope["headers"]
        asked = await self._speaker.speech.asked(self._wanted, wish_from(headers))
        answer = Answer(self._speaker, self._form, headers)
        take = asked.at_hand(self._form.audio_format) or await asked.found()
        if take is None:
            await while_connected(receive, self._respond(asked, answer, send))
        else:
            await answer.deliver(take, asked.recall, receive, send)
        if asked.recall is not None:
            self._tell_kept(asked.recall)

    async def _respond(self, asked: Asked, answer: Answer, send: Send) -> None:
        take = await asked.take()
        if take.outcome in {Outcome.MISS, Outcome.BYPASS}:
            self._speaker.metrics.first_audio(time.perf_counter() - self._started)
        await answer.send(take, asked.recall, send)


class Answer:
    """How a take leaves.

    WAV is sent whole, because players (Safari) refuse one without a true length; all other formats, and events
    of any format, are sent as they come.  What fails before the first byte is an ordinary error.  What fails
    after it is an event, or a connection that breaks off, so that nobody takes half a file for a whole one.
    """

    def __init__(self, speaker: Speaker, form: Form, headers: HeaderList) -> None:
        """``headers`` are the request's."""
        self._speaker = speaker
        self._form = form
        self._headers = headers
        self._link = ""

    async def deliver(self, take: Take, recall: Recall | None, receive: Receive, send: Send) -> None:
        """Sends a take that is whole, and ends the work on it, if there is any, when the client leaves."""
        if take.encoded(self._form.audio_format) is None:
            await while_connected(receive, self.send(take, recall, send))
        else:
            await self.send(take, recall, send)

    async def send(self, take: Take, recall: Recall | None, send: Send) -> None:
        """All of it, and closes the take."""
        form = self._form
        self._link = self._link_to(take, recall)
        async with aclosing(take):
            self._speaker.metrics.result_looked_up(take.outcome)
            tag = tag_of(take, form.name)
            if tag is not None and has_copy(self._headers, tag, was_there=take.age_seconds is not None):
                await _send_unchanged(cache_headers(take, tag, self._link), send)
                return
            encoded = EncodedSpeech(take, form.audio_format, self._speaker.encoders)
            try:
                if form.as_events:
                    await self._send_events(take, tag, encoded, send)
                elif encoded.is_at_hand or form.audio_format is AudioFormat.WAV:
                    await self._send_whole(take, tag, encoded, send)
                else:
                    await self._send_chunks(take, tag, encoded, send)
            finally:
                self._speaker.metrics.audio_produced(encoded.audio_seconds)

    async def _send_whole(self, take: Take, tag: bytes | None, encoded: EncodedSpeech, send: Send) -> None:
        pieces = await encoded.whole()
        headers = self._head(take, tag, encoded)
        headers.append((b"content-length", b"%d" % sum(map(len, pieces))))
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        for place, piece in enumerate(pieces, 1):
            await send({"type": "http.response.body", "body": piece, "more_body": place < len(pieces)})

    async def _send_chunks(self, take: Take, tag: bytes | None, encoded: EncodedSpeech, send: Send) -> None:
        async with aclosing(encoded.chunks()) as chunks:
            first = await anext(chunks)
            headers = [*self._head(take, tag, encoded), UNBUFFERED]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            try:
                await _send_body(first, chunks, send)
            except TimbreError as error:
                # Returning without an end makes the server close the connection.
                _LOG.error("speech broke off: %s", error.code, exc_info=error)

    async def _send_events(self, take: Take, tag: bytes | None, encoded: EncodedSpeech, send: Send) -> None:
        async with aclosing(encoded.chunks()) as chunks:
            first = await anext(chunks)
            headers = [*self._head(take, tag, encoded), UNBUFFERED]
            await send({"type": "http.response.start", "status": 200, "headers": headers})
            try:
                await _send_body(events.delta(first), (events.delta(chunk) async for chunk in chunks), send, more=True)
                last = events.done(self._form.input_chars, encoded.audio_seconds)
            except TimbreError as error:
                _LOG.error("speech broke off: %s", error.code, exc_info=error)
                last = events.failed(error_object(error))
            await send({"type": "http.response.body", "body": last})

    def _head(self, take: Take, tag: bytes | None, encoded: EncodedSpeech) -> HeaderList:
        content_type = events.CONTENT_TYPE if self._form.as_events else CONTENT_TYPES[self._form.audio_format]
        return speech_headers(take, tag, content_type, encode_seconds=encoded.encode_seconds, link=self._link)

    def _link_to(self, take: Take, recall: Recall | None) -> str:
        """Of bytes that are kept; events are another thing than what a link leads to."""
        links = self._speaker.links
        if links is None or recall is None or take.kept_as is None or self._form.as_events:
            return ""
        return links.link(recall, take.kept_as, self._form.audio_format)


async def _send_unchanged(headers: HeaderList, send: Send) -> None:
    """The client has it already."""
    await send({"type": "http.response.start", "status": 304, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


async def _send_body(first: bytes, rest: AsyncIterator[bytes], send: Send, *, more: bool = False) -> None:
    """All chunks, and the end of the body unless ``more`` follows."""
    await send({"type": "http.response.body", "body": first, "more_body": True})
    async for chunk in rest:
        await send({"type": "http.response.body", "body": chunk, "more_body": True})
    if not more:
        await send({"type": "http.response.body", "body": b""})
