"""Where in the log does a pod go on reading, and can it have missed anything?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

OVERLAP_MILLISECONDS: Final = 5_000
"""How far back a pod begins that does not know where: a deletion waits so long for acknowledgements by default
(``TIMBRE_FRESHNESS__ERASURE_TIMEOUT_SECONDS``), and a pod that was counted while it started shall answer."""


class EntryId(NamedTuple):
    """Id of an entry: milliseconds of Redis' clock, and a number within the millisecond."""

    milliseconds: int
    number: int

    @classmethod
    def parse(cls, text: bytes | str) -> EntryId:
        """Of Redis' ``1700000000000-0``."""
        milliseconds, _, number = (text if isinstance(text, str) else text.decode("ascii")).partition("-")
        return cls(int(milliseconds), int(number or 0))

    def __str__(self) -> str:
        return f"{self.milliseconds}-{self.number}"


ORIGIN: Final = EntryId(0, 0)
"""Before every entry."""


@dataclass(frozen=True)
class Extent:
    """What the log holds just now; ``None`` = nothing."""

    first: EntryId | None
    last: EntryId | None
    now_milliseconds: int
    """Redis' clock."""


@dataclass(frozen=True)
class Resumption:
    """Where to read on, from behind ``position``."""

    position: EntryId
    gap: bool
    """Whether entries may be missing between what was read and what will be."""


def resumption(seen: EntryId | None, extent: Extent) -> Resumption:
    """Where a pod goes on that has read everything up to ``seen``; ``None`` = it has only just started."""
    if extent.first is None or extent.last is None:
        return Resumption(ORIGIN, gap=seen is not None)  # whatever comes is new
    if seen is None:
        return Resumption(min(_recently(extent.now_milliseconds), extent.last), gap=False)
    if extent.last < seen:  # another Redis, or a failover to a replica that lagged
        return Resumption(_recently(extent.last.milliseconds), gap=True)
    return Resumption(seen, gap=extent.first > seen)


def _recently(milliseconds: int) -> EntryId:
    return EntryId(max(0, milliseconds - OVERLAP_MILLISECONDS), 0)
