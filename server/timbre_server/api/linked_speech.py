"""``GET /v1/audio/speech/results/...``: finished speech for whoever has a link to it, as a file like any other."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import aclosing
from typing import Final
from urllib.parse import parse_qs

import xxhash
from starlette.types import Receive, Scope, Send

from timbre_contract.api import RESULTS_PATH
from timbre_server.api.cache_control import has_copy
from timbre_server.api.connection import while_connected
from timbre_server.api.encoded import EncodedSpeech
from timbre_server.api.errors import logged_error_response, method_not_allowed, unknown_path
from timbre_server.api.ranges import asked_range
from timbre_server.api.speaker import Speaker
from timbre_server.api.speech_headers import REVALIDATED, HeaderList
from timbre_server.audio.encoding import CONTENT_TYPES
from timbre_server.domain.speech import AudioFormat
from timbre_server.errors import TimbreError
from timbre_server.ports import Blob, Take

_METHODS: Final = frozenset({"GET", "HEAD"})


class LinkedSpeechRoute:
    """The route that plays what was said, as a bare ASGI application."""

    path = f"{RESULTS_PATH}/{{link}}"
    """What metrics and the log call it: neither ever has the link."""

    def __init__(self, speaker: Speaker) -> None:
        self._speaker = speaker

    @staticmethod
    def takes(path: str) -> bool:
        """Whether a path is one of this route."""
        return path.startswith(f"{RESULTS_PATH}/")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        scope["route"] = self
        try:
            if scope["method"] in _METHODS:
                await self._answer(scope, receive, send)
            else:
                await method_not_allowed(_METHODS)(scope, receive, send)
        except TimbreError as error:
            await logged_error_response(error)(scope, receive, send)

    async def _answer(self, scope: Scope, receive: Receive, send: Send) -> None:
        links = self._speaker.links
        if links is None:
            raise unknown_path()
        query = parse_qs(scope["query_string"].decode("latin-1"))
        expires, signature = (query.get(name, [""])[-1] for name in ("expires", "signature"))
        linked = links.read(scope["path"], expires=expires, signature=signature)
        async with aclosing(await self._speaker.speech.linked(linked)) as take:
            await while_connected(receive, self._send(take, linked.audio_format, scope, send))

    async def _send(self, take: Take, audio_format: AudioFormat, scope: Scope, send: Send) -> None:
        file = await self._file(take, audio_format)
        # Strong, of the bytes themselves: two pods may have encoded one take, and parts of two files make none.
        tag = b'"%s-%s-%016x"' % (take.id.encode(), audio_format.encode(), xxhash.xxh3_64_intdigest(file))
        headers: HeaderList = [
            (b"content-type", CONTENT_TYPES[audio_format].encode()),
            (b"etag", tag),
            (b"accept-ranges", b"bytes"),
            REVALIDATED,
        ]
        if take.age_seconds is not None:
            headers.append((b"age", b"%d" % take.age_seconds))
        if has_copy(scope["headers"], tag):
            await _send(304, headers, b"", send)
            return
        status, part = 200, memoryview(file)
        wanted = asked_range(scope["headers"], tag, len(file)) if scope["method"] == "GET" else None
        if wanted is not None:
            status = 206 if wanted else 416
            place = b"%d-%d" % (wanted.start, wanted.stop - 1) if wanted else b"*"
            headers.append((b"content-range", b"bytes %s/%d" % (place, len(file))))
            part = part[wanted.start : wanted.stop] if wanted else part[:0]
        headers.append((b"content-length", b"%d" % len(part)))
        await _send(status, headers, b"" if scope["method"] == "HEAD" else part, send)

    async def _file(self, take: Take, audio_format: AudioFormat) -> Blob:
        encoded = EncodedSpeech(take, audio_format, self._speaker.encoders)
        if encoded.is_at_hand or audio_format is AudioFormat.WAV:
            return _joined(await encoded.whole())
        async with aclosing(encoded.chunks()) as chunks:  # as for a listener, so that the file is kept for the next one
            return b"".join([chunk async for chunk in chunks])


def _joined(pieces: Sequence[Blob]) -> Blob:
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


async def _send(status: int, headers: HeaderList, body: Blob, send: Send) -> None:
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})
