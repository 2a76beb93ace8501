"""What do the decoding child and its parent say to each other?

The child gets its limits as one argument (JSON) and the upload on its standard input.  It answers with a head,
a 4-byte little-endian length and that many bytes of JSON, and then with the samples, 16-bit little endian.  A child
may have been taken over by what it decoded, so the parent takes numbers and one word of ``Failure`` from it,
checks them against its own limits, and never shows a text of the child's to anyone.
"""

from __future__ import annotations

import json
import math
import struct
from dataclasses import asdict, dataclass
from enum import StrEnum
from typing import Any, Final

MAX_HEAD_BYTES: Final = 256
"""More than any head: two numbers or one word."""

LENGTH: Final = struct.Struct("<I")


class Failure(StrEnum):
    """Why a child gave no samples."""

    UNSUPPORTED = "unsupported"
    """No container of the white list."""
    CODEC = "codec"
    """No codec of the container's white list."""
    OUT_OF_RANGE = "out_of_range"
    """A sample rate or a number of channels that no recorder has."""
    NO_AUDIO = "no_audio"
    """The container has no audio stream, or nothing in it could be decoded."""
    TOO_LONG = "too_long"


@dataclass(frozen=True)
class ChildLimits:
    """What a child may use; it binds itself to this before it reads a byte."""

    max_bytes: int
    max_seconds: float
    memory_bytes: int
    cpu_seconds: int
    wall_seconds: float

    def to_argument(self) -> str:
        """The limits as the child's one argument."""
        return json.dumps(asdict(self))

    @classmethod
    def from_argument(cls, argument: str) -> ChildLimits:
        """The inverse of ``to_argument``."""
        return cls(**json.loads(argument))


@dataclass(frozen=True)
class Head:
    """What comes before the samples."""

    samples: int = 0
    voiced_seconds: float = 0.0
    failure: Failure | None = None

    def to_bytes(self) -> bytes:
        """The head with its length in front."""
        body = json.dumps(asdict(self)).encode()
        return LENGTH.pack(len(body)) + body

    @classmethod
    def from_json(cls, body: bytes) -> Head:
        """A head whose numbers make sense.

        Raises:
            ValueError: it is none.
        """
        fields: Any = json.loads(body)
        if not isinstance(fields, dict):
            raise ValueError("a head is an object")  # noqa: TRY004 - one error for every malformed head
        failure = fields.get("failure")
        samples, voiced = fields.get("samples"), fields.get("voiced_seconds")
        if type(samples) is not int or type(voiced) is not float or samples < 0 or not 0 <= voiced < math.inf:
            raise ValueError("a head has two numbers")
        return cls(samples, voiced, None if failure is None else Failure(failure))
