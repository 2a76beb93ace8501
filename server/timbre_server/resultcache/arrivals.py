"""May what comes from where pods share it, or becomes a file here, still be kept then, or was it erased or replaced meanwhile?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from timbre_server.ports import ResultName


class Arrival:
    """Speech that is under way into this pod's memory: from where pods share it, or as a file that is being encoded."""

    __slots__ = ("may_be_kept", "name")

    def __init__(self, name: ResultName) -> None:
        self.name = name
        self.may_be_kept = True


class Arrivals:
    """All that is under way; lives on the event loop."""

    def __init__(self) -> None:
        self._expected: set[Arrival] = set()

    def expect(self, name: ResultName) -> Arrival:
        """To be called before anybody is asked for that speech, and ended by ``over``."""
        arrival = Arrival(name)
        self._expected.add(arrival)
        return arrival

    def over(self, arrival: Arrival) -> None:
        """Whatever comes of it now is not kept.  Idempotent."""
        arrival.may_be_kept = False
        self._expected.discard(arrival)

    @contextmanager
    def expecting(self, name: ResultName) -> Iterator[Arrival]:
        """``expect`` until the block ends."""
        arrival = self.expect(name)
        try:
            yield arrival
        finally:
            self.over(arrival)

    def erased(self, digest: str) -> None:
        """Nothing of that recording may be kept that is under way now."""
        for arrival in self._expected:
            if arrival.name.digest == digest:
                arrival.may_be_kept = False

    def replaced(self, key: str) -> None:
        """What is under way under that key may be an old take."""
        for arrival in self._expected:
            if arrival.name.key == key:
                arrival.may_be_kept = False

    def doubtful(self) -> None:
        """All that is under way may be old takes."""
        for arrival in self._expected:
            arrival.may_be_kept = False
