"""What does a request allow caches to do, and which copy does its client have already?  The headers of RFC 9110 and 9111."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

from timbre_server.ports import CacheWish

Headers = Iterable[tuple[bytes, bytes]]
"""As ASGI has them: names in lower case."""

_ANYTHING: Final = CacheWish()


def wish_from(headers: Headers) -> CacheWish:
    """The directives of all ``Cache-Control`` fields; those that are unknown, or say how stale is fine, change nothing."""
    fields = [value for name, value in headers if name == b"cache-control"]
    if not fields:
        return _ANYTHING
    directives: dict[str, str] = {}
    for directive in b",".join(fields).decode("latin-1").split(","):
        word, _, argument = directive.partition("=")
        directives[word.strip().lower()] = argument.strip().strip('"')
    max_age_seconds = _seconds(directives["max-age"]) if "max-age" in directives else None
    return CacheWish(
        keep="no-store" not in directives,
        reuse="no-cache" not in directives and max_age_seconds != 0,
        only_kept="only-if-cached" in directives,
        max_age_seconds=max_age_seconds,
    )


def entity_tag(take_id: str, form: str) -> bytes:
    """The tag of a take in a form: weak, because equal speech may come in chunks of another size."""
    return f'W/"{take_id}-{form}"'.encode()


def has_copy(headers: Headers, tag: bytes, *, was_there: bool = True) -> bool:
    """Whether ``If-None-Match`` names that tag, or ``*``, which means whatever ``was_there`` when the request came.

    Tags are compared weakly, as RFC 9110 wants it (13.1.2).
    """
    for name, value in headers:
        if name == b"if-none-match":
            tags = [each.strip() for each in value.split(b",")]
            if (was_there and b"*" in tags) or any(
                each.removeprefix(b"W/") == tag.removeprefix(b"W/") for each in tags
            ):
                return True
    return False


def _seconds(argument: str) -> float:
    """Of an argument that is no number: 0, as if everything were too old."""
    return float(argument) if argument.isascii() and argument.isdigit() else 0.0
