"""What was the server asked that it has not answered yet?"""

from __future__ import annotations

import asyncio
import math
from collections.abc import Callable, Iterable

from timbre_server.ports import Room

Command = tuple[str | bytes | int, ...]
Reply = memoryview | int | None
Arrived = Callable[[int, memoryview], None]
"""Gets the place of a value among the replies, and the value, before those after it are read; must not raise."""


class Question:
    """Commands whose replies come together."""

    __slots__ = ("answer", "arrived", "commands", "give_up_at", "missing", "replies", "room")

    def __init__(
        self,
        answer: asyncio.Future[list[Reply]] | None,
        commands: Iterable[Command],
        arrived: Arrived | None = None,
        room: Room | None = None,
        *,
        give_up_at: float = math.inf,
    ) -> None:
        """``give_up_at``: by the loop's clock; nobody waits longer for the answer."""
        self.answer = answer
        self.give_up_at = give_up_at
        self.commands = iter(commands)
        """Those that were not sent yet."""
        self.arrived = arrived
        self.room = room
        self.missing = 0
        """Replies to those that were."""
        self.replies: list[Reply] = []

    @property
    def is_left(self) -> bool:
        """Whether nobody waits for the answer any more."""
        return self.answer is not None and self.answer.done()

    def next_command(self) -> Command | None:
        """None if there are no more, or if nobody waits for them."""
        return None if self.is_left else next(self.commands, None)

    def end(self) -> None:
        """All replies are there."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_result(self.replies)

    def fail(self, error: Exception) -> None:
        """There will be no answer."""
        if self.answer is not None and not self.answer.done():
            self.answer.set_exception(error)


def packed(command: Command) -> bytes:
    """A command as RESP: an array of strings."""
    line = b"*%d\r\n" % len(command)
    for word in command:
        raw = word if isinstance(word, bytes) else str(word).encode()
        line += b"$%d\r\n%b\r\n" % (len(raw), raw)
    return line
