"""How do megabytes come out of Redis without being copied three times?

The library reads 64 KiB at a time into one buffer, copies them into its parser and out again.  Here the bytes of a value go
from the socket to the memory where they stay.  The connection is one of the library's, with its address, credentials and
TLS; only its last step is ours: RESP 2, and of that no more than values and numbers.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from contextlib import suppress
from typing import Any, Final

import numpy as np
import redis.exceptions

from timbre_server.store.link import Client, RedisLink
from timbre_server.store.refusals import LIBRARY_ERRORS

Command = tuple[str | bytes | int, ...]
Reply = memoryview | int | None

SCRATCH_BYTES: Final = 4096
"""Where the first bytes of a reply land, before its length is known; what of a value lies there is copied once."""

MAX_VALUE_BYTES: Final = 512 << 20
"""Redis' own limit for a string (proto-max-bulk-len)."""


class Unusual(Exception):
    """Something that only the library can deal with: an error, or a reply that is no value and no number."""


class BulkReader:
    """One connection on which many may ask at once; opened when it is first needed.  Lives on one event loop."""

    def __init__(self, link: RedisLink) -> None:
        """Not for a cluster, where each key has a server of its own."""
        self._link = link
        self._client: Client = None
        self._replies: _Replies | None = None
        self._opening = asyncio.Lock()

    async def read(self, commands: Sequence[Command], *, also: Sequence[Command] = ()) -> list[Reply]:
        """The replies to the commands, in their order; those to ``also`` are not waited for.

        The caller bounds the time.  Raises ``Unusual``, and what the library raises.
        """
        replies = self._replies
        if replies is None or replies.is_stuck:
            replies = await self._open()
        return await replies.ask(commands, also)

    async def close(self) -> None:
        """Idempotent."""
        async with self._opening:
            await self._close()

    async def _open(self) -> _Replies:
        async with self._opening:
            if self._replies is not None and not self._replies.is_stuck:
                return self._replies  # another one was faster
            await self._close()
            client = self._link.dedicated(read_timeout_seconds=self._link.settings.read_timeout_seconds)
            try:
                await client.initialize()
                replies = _taken_over(client)
            except BaseException:
                await client.aclose()
                raise
            self._client, self._replies = client, replies
            return replies

    async def _close(self) -> None:
        client, replies = self._client, self._replies
        self._client = self._replies = None
        if replies is not None:
            replies.abort()
        if client is not None:
            with suppress(*LIBRARY_ERRORS):
                await client.aclose()


def _taken_over(client: Client) -> _Replies:
    """Our protocol in the place of the library's on a connection that is ready for commands."""
    try:
        transport = client.connection._writer.transport  # noqa: SLF001 - the one place; the lock file pins the library
        previous = transport.get_protocol()
        replies = _Replies(transport, previous)
        transport.set_protocol(replies)
    except AttributeError as error:
        raise Unusual("the library keeps its transport elsewhere") from error
    return replies


class _Question:
    """Commands whose replies come together."""

    __slots__ = ("answer", "missing", "replies")

    def __init__(self, answer: asyncio.Future[list[Reply]] | None, count: int) -> None:
        self.answer = answer
        self.missing = count
        self.replies: list[Reply] = []


class _Replies(asyncio.BufferedProtocol):
    """Reads replies in the order of the questions."""

    def __init__(self, transport: Any, previous: asyncio.BaseProtocol) -> None:
        self._transport = transport
        self._previous = previous
        """Whose connection it was: told when it is lost, so that the library can close it."""
        self._questions: deque[_Question] = deque()
        self._scratch = memoryview(bytearray(SCRATCH_BYTES))
        self._filled = 0
        self._value: memoryview | None = None
        """Where the value that is being read lies, with the two bytes that end it."""
        self._received = 0
        self._lost = False

    @property
    def is_stuck(self) -> bool:
        """Whether nobody should ask here any more: it is closed, or who asked first has given up waiting."""
        first = next((question.answer for question in self._questions if question.answer), None)
        return self._lost or self._transport.is_closing() or (first is not None and first.cancelled())

    async def ask(self, commands: Sequence[Command], also: Sequence[Command]) -> list[Reply]:
        answer: asyncio.Future[list[Reply]] = asyncio.get_running_loop().create_future()
        if not commands:
            return []
        self._questions.append(_Question(answer, len(commands)))
        if also:
            self._questions.append(_Question(None, len(also)))
        self._transport.write(b"".join(map(_packed, (*commands, *also))))
        return await answer

    def abort(self) -> None:
        """Closes at once; who waits gets an error."""
        self._transport.abort()
        self._fail(redis.exceptions.ConnectionError("closed"))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's interface; we know what is missing
        if self._value is not None:
            return self._value[self._received :]
        return self._scratch[self._filled :]

    def buffer_updated(self, nbytes: int) -> None:
        if self._value is None:
            self._filled += nbytes
            self._parse()
            return
        self._received += nbytes
        if self._received == len(self._value):
            value, self._value = self._value, None
            self._replied(value[:-2])

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._fail(redis.exceptions.ConnectionError("the connection was lost"))
        self._previous.connection_lost(exc)

    def eof_received(self) -> bool:
        """The server closed; nothing more is written either."""
        return False

    def _parse(self) -> None:
        """Takes whole replies from the scratch; the rest of an unfinished value is received where it belongs."""
        begin = 0
        while self._questions:
            line, found, _ = bytes(self._scratch[begin : min(self._filled, begin + 32)]).partition(b"\r\n")
            if not found:
                break
            begin += len(line) + 2
            length = self._understood(line)
            if length is None:
                continue
            begin += self._begin_value(length, begin)
        left = self._filled - begin
        if left > 32 or (left and not self._questions):  # no number is that long
            self._give_up()
            return
        self._scratch[:left] = bytes(self._scratch[begin : self._filled])
        self._filled = left

    def _understood(self, line: bytes) -> int | None:
        """The length of the value that follows, or None if the reply is complete."""
        kind, number = line[:1], line[1:]
        if kind not in {b"$", b":"} or not number.removeprefix(b"-").isdigit():
            self._give_up()
            return None
        if kind == b":":
            self._replied(int(number))
            return None
        length = int(number)
        if length < 0:
            self._replied(None)
            return None
        if length > MAX_VALUE_BYTES:
            self._give_up()
            return None
        return length

    def _begin_value(self, length: int, begin: int) -> int:
        """Takes what of a value is in the scratch; how many bytes."""
        value = np.empty(length + 2, np.uint8).data  # not ``bytearray``: nobody needs zeros
        here = min(self._filled - begin, length + 2)
        value[:here] = self._scratch[begin : begin + here]
        if here == length + 2:
            self._replied(value[:-2])
        else:
            self._value, self._received = value, here
        return here

    def _replied(self, reply: Reply) -> None:
        question = self._questions[0]
        question.missing -= 1
        if question.answer is not None:
            question.replies.append(reply)
        if question.missing == 0:
            self._questions.popleft()
            if question.answer is not None and not question.answer.done():
                question.answer.set_result(question.replies)

    def _give_up(self) -> None:
        """What comes now cannot be read: the library shall ask again, on its own connection."""
        self._filled = 0
        self._transport.abort()
        self._fail(Unusual("neither a value nor a number"))

    def _fail(self, error: Exception) -> None:
        self._lost = True
        while self._questions:
            answer = self._questions.popleft().answer
            if answer is not None and not answer.done():
                answer.set_exception(error)


def _packed(command: Command) -> bytes:
    """A command as RESP: an array of strings."""
    words = [word if isinstance(word, bytes) else str(word).encode() for word in command]
    return b"*%d\r\n" % len(words) + b"".join(b"$%d\r\n%b\r\n" % (len(word), word) for word in words)
