"""What can a text tell the stub engine to do wrong?

A marker in square brackets scripts a failure of the batch that holds it, as one bad request fails a real one:

=================  ====================================================================================
``[fail]``         an ``EngineError`` before the first piece
``[fail-late]``    an ``EngineError`` after the first piece
``[crash]``        an exception that no engine should let out
``[oom]``          ``EngineOutOfMemory``, whatever the size of the batch
``[oom-above-2]``  ``EngineOutOfMemory`` in batches of more than 2
``[slow:0.5]``     the batch takes 0.5 s longer
``[break]``        an ``EngineError``, and the engine is broken for good (``health``)
``[die]``          the thread that called ends
=================  ====================================================================================
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass

from timbre_server.errors import EngineError, EngineOutOfMemory

_MARKER = re.compile(r"\[(fail-late|fail|crash|oom-above-(?=\d)|oom|slow:(?=\d)|break|die)(\d+(?:\.\d+)?)?\]")


@dataclass(frozen=True)
class Fault:
    """One marker, understood."""

    word: str
    number: float = 0.0

    @property
    def extra_seconds(self) -> float:
        """By how much the batch takes longer."""
        return self.number if self.word == "slow:" else 0.0

    def strike(self, batch_size: int, *, begun: bool) -> None:
        """Fails as the marker says, if this is its moment: before or after the first piece of the batch."""
        if begun is not (self.word == "fail-late"):
            return
        match self.word:
            case "fail" | "fail-late" | "break":
                raise EngineError("the stub engine was told to fail")
            case "crash":
                raise RuntimeError("the stub engine was told to crash")
            case "die":
                raise SystemExit
            case "oom" | "oom-above-" if batch_size > self.number:
                raise EngineOutOfMemory("the stub engine was told to run out of memory")


def faults_in(text: str) -> Sequence[Fault]:
    """The markers of a text, in order."""
    if "[" not in text:
        return ()
    return tuple(Fault(word, float(number or 0.0)) for word, number in _MARKER.findall(text))
