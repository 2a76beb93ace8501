"""What did a check find?  Checks stand in order, and the first that finds something decides."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Final, Literal

from timbre_operator.observed import Observed

MAX_QUOTE_CHARS: Final = 400
"""Of others' words in a message: the scheduler's longest sentences about a dozen nodes fit."""


@dataclass(frozen=True)
class Finding:
    """Something is wrong: the reason is for programs, the message names the object and the next thing to do."""

    reason: str
    message: str


@dataclass(frozen=True)
class Verdict:
    """What a condition shall say."""

    status: Literal["True", "False", "Unknown"]
    reason: str
    message: str

    @classmethod
    def false(cls, finding: Finding) -> Verdict:
        """The condition does not hold because of this."""
        return cls("False", finding.reason, finding.message)


Check = Callable[[Observed], Finding | None]


def first_finding(observed: Observed, checks: Iterable[Check]) -> Finding | None:
    """Of the first check that finds something; None where all is well."""
    return next((finding for check in checks if (finding := check(observed)) is not None), None)


def quoted(words: str) -> str:
    """Others' words in one line, not too long."""
    line = " ".join(words.split())
    return f'"{line if len(line) <= MAX_QUOTE_CHARS else line[: MAX_QUOTE_CHARS - 3] + "..."}"'
