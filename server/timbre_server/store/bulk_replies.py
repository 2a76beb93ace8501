"""What has the server replied?  Values and numbers of RESP 2, read to where they stay."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Iterable, Sequence
from typing import Any, Final

import numpy as np
import redis.exceptions

from timbre_server.ports import Room
from timbre_server.store.bulk_questions import Arrived, Command, Question, Reply, packed
from timbre_server.store.patience import LATE_SECONDS, SLICE_SECONDS

SCRATCH_BYTES: Final = 4096
"""Where the first bytes of a reply land, before its length is known; what of a value lies there is copied once."""

AHEAD: Final = 8
"""Commands that are with the server at a time.  It executes all that it has read before it writes the first reply, and holds
those replies in its memory.  Prefetching 16 voices of 130 KiB took 0.70 ms with 4 at most, 0.66 with 6, 0.63 with 8 and 0.64
with all, but 0.67 where the first 8 went together (lower quartiles of 200 taken by turns, loopback, 2-core EPYC)."""

ALIGNMENT_BYTES: Final = 16
"""Where a value begins whose reply was received as a whole: no element of an array is larger."""

MAX_VALUE_BYTES: Final = 512 << 20
"""Redis' own limit for a string (proto-max-bulk-len)."""


class Unusual(Exception):
    """Something that only the library can deal with: an error, or a reply that is no value and no number."""


class Replies(asyncio.BufferedProtocol):
    """Reads replies in the order of the questions."""

    def __init__(
        self, transport: Any, previous: asyncio.BaseProtocol, silence_seconds: float, limit_seconds: float
    ) -> None:
        """``silence_seconds``: after which nothing comes any more; ``limit_seconds``: that anybody waits for an answer."""
        self._loop = asyncio.get_running_loop()
        self._silence_seconds = silence_seconds
        self._limit_seconds = limit_seconds
        self._heard_at = 0.0
        """When bytes came last, or when somebody asked after everything was answered."""
        self._watch: asyncio.TimerHandle | None = None
        self._look_at = 0.0
        """When the watch is due."""
        self._was_late = False
        """Whether it was late the last time, as after a sleep of this process."""
        self._transport = transport
        self._previous = previous
        """Whose connection it was: told when it is lost, so that the library can close it."""
        self._questions: deque[Question] = deque()
        self._unsent: deque[Question] = deque()
        """Those with commands that were not sent yet."""
        self._ahead = 0
        """Commands that were sent and not replied to."""
        self._scratch = memoryview(bytearray(SCRATCH_BYTES))
        self._filled = 0
        self._value: memoryview | None = None
        """Where the value that is being read lies, with the two bytes that end it."""
        self._received = 0
        self._line = b""
        """How the last value began: its length, which the next one probably has too."""
        self._guess: memoryview | None = None
        """Where the next reply lies if it does: line, value and end."""
        self._lost = False

    @property
    def is_stuck(self) -> bool:
        """Whether nobody should ask here any more: it is closed, or all have given up waiting who asked.

        One alone who gave up is no sign: clients leave, and a new connection would take theirs from those who wait.
        """
        if self._lost or self._transport.is_closing():
            return True
        asked = [question for question in self._questions if question.answer]
        return bool(asked) and all(question.is_left for question in asked)

    async def ask(
        self,
        commands: Iterable[Command],
        also: Sequence[Command] = (),
        arrived: Arrived | None = None,
        room: Room | None = None,
    ) -> list[Reply]:
        """As ``BulkReader.read``."""
        answer: asyncio.Future[list[Reply]] = self._loop.create_future()
        now = self._loop.time()
        if not self._questions:
            self._heard_at = now
            if self._watch is None:
                self._look(now + self._silence_seconds)
        question = Question(answer, commands, arrived, room, give_up_at=now + self._limit_seconds)
        asked = [question, Question(None, also)] if also else [question]
        self._questions.extend(asked)
        self._unsent.extend(asked)
        if not (self._ahead or also):
            self._write(1)  # the server begins while the other commands are made
        self._send()
        return await answer

    def _send(self) -> None:
        """Keeps the server busy: half as many commands are enough for that, and the next ones go together."""
        if self._unsent and self._ahead <= AHEAD // 2:
            self._write(AHEAD)

    def _write(self, ahead: int) -> None:
        sent = []
        while self._unsent and self._ahead < ahead:
            question = self._unsent[0]
            command = question.next_command()
            if command is not None:
                sent.append(packed(command))
                question.missing += 1
                self._ahead += 1
                continue
            self._unsent.popleft()
            if not question.missing:
                self._questions.remove(question)
                question.end()
        if sent:
            self._transport.write(b"".join(sent))

    def abort(self) -> None:
        """Closes at once; who waits gets an error."""
        self._transport.abort()
        self._fail(redis.exceptions.ConnectionError("closed"))

    def get_buffer(self, sizehint: int) -> memoryview:  # noqa: ARG002 - asyncio's interface; we know what is missing
        if self._value is not None:
            return self._value[self._received :]
        if self._guess is None and not self._filled:
            self._guess = self._guessed()
        return self._scratch[self._filled :] if self._guess is None else self._guess

    def buffer_updated(self, nbytes: int) -> None:
        self._heard_at = self._loop.time()
        if self._value is not None:
            self._received += nbytes
        elif self._guess is None:
            self._filled += nbytes
            self._parse(self._scratch, self._filled)
            return
        else:
            reply, self._guess = self._guess, None
            if nbytes < len(self._line) or reply[: len(self._line)] != self._line:
                self._parse(reply, nbytes)
                return
            self._value, self._received = reply[len(self._line) :], nbytes - len(self._line)
        if self._received == len(self._value):
            value, self._value = self._value, None
            self._replied(value[:-2])

    def _guessed(self) -> memoryview | None:
        """Room for a reply that is as long as the last value was: it is read at once, and none of it is copied."""
        room = self._questions[0].room if self._questions and self._line else None
        before = -len(self._line) % ALIGNMENT_BYTES
        landing = None if room is None else room(before + len(self._line) + int(self._line[1:]) + 2)
        return None if landing is None else landing[before:]

    def _look(self, at: float) -> None:
        self._look_at = at
        self._watch = self._loop.call_at(at, self._listen)

    def _listen(self) -> None:
        """Gives up a server that owes an answer and says nothing, and answers that take too long."""
        self._watch = None
        if not self._questions:
            return
        now = self._loop.time()
        self._was_late = now - self._look_at > LATE_SECONDS and not self._was_late
        if self._was_late:
            self._look(now + SLICE_SECONDS)  # what came while this process slept is read first
            return
        silent_until = self._heard_at + self._silence_seconds
        if silent_until <= now:
            self._transport.abort()
            self._fail(redis.exceptions.TimeoutError("no answer"))
            return
        look_at = silent_until
        for question in self._questions:
            if question.give_up_at <= now:
                question.fail(redis.exceptions.TimeoutError("not the whole answer"))
            else:
                look_at = min(look_at, question.give_up_at)
        self._look(look_at)

    def connection_lost(self, exc: Exception | None) -> None:
        self._lost = True
        self._fail(redis.exceptions.ConnectionError("the connection was lost"))
        self._previous.connection_lost(exc)

    def eof_received(self) -> bool:
        """The server closed; nothing more is written either."""
        return False

    def _parse(self, view: memoryview, filled: int) -> None:
        """Takes whole replies from what was received; the rest of an unfinished value is received where it belongs."""
        begin = 0
        while self._questions:
            line, found, _ = bytes(view[begin : min(filled, begin + 32)]).partition(b"\r\n")
            if not found:
                break
            begin += len(line) + 2
            length = self._understood(line)
            if length is None:
                continue
            self._line = line + found
            begin += self._begin_value(length, view[begin:filled])
        left = filled - begin
        if left > 32 or (left and not self._questions):  # no number is that long
            self._give_up()
            return
        self._scratch[:left] = bytes(view[begin:filled])
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

    def _begin_value(self, length: int, received: memoryview) -> int:
        """Takes what was received of a value; how many bytes."""
        room = self._questions[0].room
        value = room(length + 2) if room is not None else None
        if value is None:
            value = np.empty(length + 2, np.uint8).data  # not ``bytearray``: nobody needs zeros
        here = min(len(received), length + 2)
        value[:here] = received[:here]
        if here == length + 2:
            self._replied(value[:-2])
        else:
            self._value, self._received = value, here
        return here

    def _replied(self, reply: Reply) -> None:
        self._ahead -= 1
        self._send()
        question = self._questions[0]
        question.missing -= 1
        if question.missing == 0:
            self._questions.popleft()
        if question.answer is None or question.is_left:
            return
        question.replies.append(reply)
        if question.arrived is not None and isinstance(reply, memoryview):
            question.arrived(len(question.replies) - 1, reply)
        if question.missing == 0:
            question.end()

    def _give_up(self) -> None:
        """What comes now cannot be read: the library shall ask again, on its own connection."""
        self._filled = 0
        self._transport.abort()
        self._fail(Unusual("neither a value nor a number"))

    def _fail(self, error: Exception) -> None:
        self._lost = True
        if self._watch is not None:
            self._watch.cancel()
            self._watch = None
        self._unsent.clear()
        while self._questions:
            self._questions.popleft().fail(error)
