"""How much of a request's body do we take, and is its client still there?"""

from __future__ import annotations

from typing import Final

from starlette.types import Message, Receive, Scope

from timbre_server.errors import BodyTooLarge

DISCARD_BYTES: Final = 64 << 20
"""How much of a body that is too large is read and thrown away, so that its client gets to read the answer: a client
that still writes when the connection closes sees a broken pipe instead.  Six times OpenAI's bound on uploads."""


class BoundedBody:
    """The body of one request, read through ``receive``."""

    def __init__(self, scope: Scope, receive: Receive, max_bytes: int) -> None:
        self._receive = receive
        self._max_bytes = max_bytes
        self._announced_bytes = _content_length(scope)
        self._waits_to_send = any(name == b"expect" for name, _ in scope["headers"])  # for "100 Continue"
        self._read_bytes = 0
        self._more = True
        self.client_left = False
        self.must_close = False
        """Whether so much is still to come that the connection cannot be used again."""

    async def receive(self) -> Message:
        """As ASGI's ``receive``.

        Raises:
            BodyTooLarge: the body has more bytes than the bound, whether it announced them or not.
        """
        if self._announced_bytes > self._max_bytes:
            await self._refuse()
        message = await self._next()
        if self._read_bytes > self._max_bytes:
            await self._refuse()
        return message

    async def discard(self) -> None:
        """Reads what is left of the body up to a bound, unless its client waits to be told to send it."""
        while self._more and not self.must_close:
            too_much = max(self._announced_bytes, self._read_bytes) > self._max_bytes + DISCARD_BYTES
            self.must_close = too_much or (self._waits_to_send and self._read_bytes == 0)
            if not self.must_close:
                await self._next()

    async def _next(self) -> Message:
        message = await self._receive()
        if message["type"] == "http.disconnect":
            self.client_left, self._more = True, False
        else:
            self._read_bytes += len(message.get("body", b""))
            self._more = message.get("more_body", False)
        return message

    async def _refuse(self) -> None:
        await self.discard()
        raise BodyTooLarge(f"the body must have at most {self._max_bytes} bytes")


def _content_length(scope: Scope) -> int:
    for name, value in scope["headers"]:
        if name == b"content-length" and value.isdigit():
            return int(value)
    return 0
