"""Which part of a file does a request want?  ``Range`` and ``If-Range`` of RFC 9110, 14."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_ONE_RANGE: Final = re.compile(rb"bytes=(\d{0,18})-(\d{0,18})", re.IGNORECASE)


def asked_range(headers: Iterable[tuple[bytes, bytes]], tag: bytes, size_bytes: int) -> range | None:
    """The places of the wanted bytes; none at all if the file has none of them; None: the whole file is wanted.

    What is no range, or several, asks for the whole file, as a server may read it (14.2); so does a range of a file that has
    changed since, by ``If-Range``.
    """
    fields = dict(headers)
    found = _ONE_RANGE.fullmatch(fields.get(b"range", b""))
    if found is None or fields.get(b"if-range", tag) != tag:
        return None
    first, last = (int(digits) if digits else None for digits in found.groups())
    if first is None:
        return None if last is None else range(max(0, size_bytes - last), size_bytes)
    if last is not None and last < first:
        return None
    return range(first, size_bytes if last is None else min(last + 1, size_bytes))
