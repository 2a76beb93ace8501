"""How does a validation error of pydantic become one of ours, that names the field and not what stood in it?"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from pydantic import ValidationError

from timbre_server.errors import InvalidBody, InvalidValue, MissingField, RequestRejected, TextTooLong, UnknownField

MAX_PARAM_CHARS: Final = 64
"""Unknown fields are told by their name, but a name of megabytes is not sent back."""

_SENTENCES: Final[Mapping[str, str]] = {
    "voice": 'must be the name or id of a voice as a string, or an object {"id": "voice_..."}',
}
"""For unions pydantic has one error per branch; a client wants one sentence."""


def from_validation_error(error: ValidationError) -> RequestRejected:
    """The rejection of a body."""
    return rejection(error.errors(include_url=False, include_input=False))


def rejection(found: Sequence[Any]) -> RequestRejected:
    """The first thing that is wrong, unknown fields first: a mistyped name also explains what seems to be missing."""
    first = next((item for item in found if item["type"] == "extra_forbidden"), found[0])
    return _rejection(first["type"], first["loc"], first["msg"])


def unknown_field(name: str) -> UnknownField:
    """The error for a field that no route has."""
    return UnknownField("this field is not part of the API; `param` has its name", param=printable(name))


def printable(name: str) -> str:
    """A client's own name for something, bounded and without control characters."""
    return "".join(character if character.isprintable() else "?" for character in name[:MAX_PARAM_CHARS])


def _rejection(kind: str, place: tuple[Any, ...], message: str) -> RequestRejected:
    if not place:
        return InvalidBody("the body must be one JSON object in UTF-8, correctly written and not too deeply nested")
    param = str(place[0])
    if kind == "extra_forbidden":
        return unknown_field(str(place[-1]))
    if kind == "missing" and len(place) == 1:
        return MissingField(f"`{param}` is required", param=param)
    rule = _SENTENCES.get(param) or message.replace("Input should", "must").replace("String should", "must")
    refused = TextTooLong if kind == "string_too_long" else InvalidValue
    return refused(f"`{param}` {rule}", param=param)
