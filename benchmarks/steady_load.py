"""So many speech requests a second, whatever the answers take: what did each client wait?"""

from __future__ import annotations

import asyncio
import contextlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self
from urllib.parse import urlsplit


@dataclass(frozen=True)
class Answered:
    """One request."""

    due: float
    """When it was to be sent, on the loop's clock."""
    seconds: float
    """From then until its last byte: a late start counts, because a client would have waited too."""
    status: int
    """0 where the connection broke."""


@dataclass(frozen=True)
class Answer:
    """A response, whole."""

    status: int
    body: bytes


class Http:
    """Keep-alive connections to one address, as many as are in use at once; the least that a client can cost."""

    def __init__(self, url: str, cache_control: str = "no-store") -> None:
        """By default each request is served by the engine: most loads are about voices, and say one sentence."""
        address = urlsplit(url)
        self._cache_control = cache_control
        self._host, self._port = address.hostname or "", address.port or 80
        self._idle: list[tuple[asyncio.StreamReader, asyncio.StreamWriter]] = []

    async def ask(self, method: str, path: str, body: bytes = b"", kind: str = "application/json") -> Answer:
        """The answer of the server.  Raises: OSError, EOFError."""
        reader, writer = self._idle.pop() if self._idle else await asyncio.open_connection(self._host, self._port)
        writer.write(
            f"{method} {path} HTTP/1.1\r\nHost: timbre\r\nCache-Control: {self._cache_control}\r\n"
            f"Content-Type: {kind}\r\nContent-Length: {len(body)}\r\n\r\n".encode()
            + body
        )
        try:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").lower()
            length = int(head.partition("content-length: ")[2].partition("\r\n")[0])
            answer = Answer(int(head.split(" ", 2)[1]), await reader.readexactly(length))
        except BaseException:
            writer.close()
            raise
        self._idle.append((reader, writer))
        return answer

    async def upload(self, method: str, path: str, file_field: str, recording: bytes, **texts: str) -> Answer:
        """A form with one file."""
        boundary = "timbre-steady-load"
        parts = [
            f'--{boundary}\r\nContent-Disposition: form-data; name="{name}"\r\n\r\n{text}\r\n'
            for name, text in texts.items()
        ]
        file_head = f'--{boundary}\r\nContent-Disposition: form-data; name="{file_field}"; filename="a"\r\n\r\n'
        body = "".join([*parts, file_head]).encode() + recording + f"\r\n--{boundary}--\r\n".encode()
        return await self.ask(method, path, body, f"multipart/form-data; boundary={boundary}")

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        """Ends the connections that nobody uses."""
        idle, self._idle = self._idle, []
        for _, writer in idle:
            writer.close()
        for _, writer in idle:
            with contextlib.suppress(OSError):
                await writer.wait_closed()


class SteadyLoad:
    """Speaks ``per_second`` times a second, the voices in turn, from ``async with`` to its end."""

    def __init__(self, url: str, voices: Sequence[str], *, per_second: float = 50.0) -> None:
        self.answered: list[Answered] = []
        self._http = Http(url)
        self._bodies = [
            json.dumps({"model": "tts-1", "voice": voice, "input": "Hello.", "response_format": "wav"}).encode()
            for voice in voices
        ]
        self._per_second = per_second
        self._news = asyncio.Event()
        self._under_way: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        self._running = asyncio.create_task(self._run(), name="steady-load")
        return self

    async def __aexit__(self, *_: object) -> None:
        self._running.cancel()
        await asyncio.wait([self._running, *self._under_way])
        await self._http.__aexit__()

    def between(self, begin: float, end: float) -> list[Answered]:
        """Requests that were due between these times of the loop's clock, and have been answered."""
        return [answer for answer in self.answered if begin <= answer.due < end]

    async def more(self, count: int) -> None:
        """Returns when so many more requests have been answered: time that passes, in requests."""
        wanted = len(self.answered) + count
        while len(self.answered) < wanted:
            self._news.clear()
            await self._news.wait()

    async def _run(self) -> None:
        clock = asyncio.get_running_loop().time
        began, number = clock(), 0
        while True:
            due = began + number / self._per_second
            await asyncio.sleep(due - clock())
            task = asyncio.create_task(self._speak(due, self._bodies[number % len(self._bodies)]))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)
            number += 1

    async def _speak(self, due: float, body: bytes) -> None:
        clock = asyncio.get_running_loop().time
        try:
            status = (await self._http.ask("POST", "/v1/audio/speech", body)).status
        except (OSError, EOFError):
            status = 0
        self.answered.append(Answered(due, clock() - due, status))
        self._news.set()
