"""May what comes from where pods share it still be kept when it is here, or was it erased or replaced on its way?"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from timbre_server.ports import ResultName


class Arrival:
    """Speech that is under way to this pod."""

    __slots__ = ("may_be_kept", "name")

    def __init__(self, name: ResultName) -> None:
        self.name = name
        self.may_be_kept = True


class Arrivals:
    """All that is under way; lives on the event loop."""

    def __init__(self) -> None:
        self._expected: set[Arrival] = set()

    @contextmanager
    def expecting(self, name: ResultName) -> Iterator[Arrival]:
        """To be entered before anybody is asked for that speech."""
        arrival = Arrival(name)
        self._expected.add(arrival)
        try:
            yield arrival
        finally:
            self._expected.remove(arrival)

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
