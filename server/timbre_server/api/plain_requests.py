"""Is this a request of the usual kind, which may be known by its body alone?  And how is a body read twice?"""

from __future__ import annotations

from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

_JSON = b"application/json"


def is_plain(scope: Scope) -> bool:
    """A POST of JSON that says nothing to caches: then nothing but its body decides what is answered."""
    if scope["method"] != "POST":
        return False
    is_json = False
    for name, value in scope["headers"]:
        if name == b"cache-control":
            return False
        if name == b"content-type":
            is_json = value == _JSON
    return is_json


async def read_body(receive: Receive) -> bytes:
    """All of it.  Raises: ClientDisconnect."""
    message = await receive()
    pieces = [_piece(message)]
    while message.get("more_body", False):
        message = await receive()
        pieces.append(_piece(message))
    return pieces[0] if len(pieces) == 1 else b"".join(pieces)


def replayed(body: bytes, receive: Receive) -> Receive:
    """A ``receive`` for a body that was read: it comes again, at once, and then whatever else comes."""
    waiting = [body]

    async def replaying() -> Message:
        if waiting:
            return {"type": "http.request", "body": waiting.pop(), "more_body": False}
        return await receive()

    return replaying


def _piece(message: Message) -> bytes:
    if message["type"] == "http.disconnect":
        raise ClientDisconnect
    piece: bytes = message.get("body", b"")
    return piece
