"""How long is waited before something that failed is tried again?"""

from __future__ import annotations

from collections.abc import Callable, Hashable
from dataclasses import dataclass
from typing import Final, Generic, TypeVar

K = TypeVar("K", bound=Hashable)


@dataclass(frozen=True)
class Backoff:
    """Twice as long each time, up to a limit, and not for everybody alike."""

    first_seconds: float
    longest_seconds: float
    spread: float = 0.5
    """By which share chance may shorten a wait: those that failed together do not come back together."""

    def seconds(self, failures: int, chance: float) -> float:
        """After so many failures in a row (from 1); ``chance`` is from 0 to 1."""
        # 2**40 of the shortest wait is longer than any: no overflow, however long it fails.
        wait = min(self.longest_seconds, self.first_seconds * 2.0 ** min(failures - 1, 40))
        return wait * (1 - self.spread * chance)


SOON: Final = Backoff(0.2, 60.0)
"""For what may go through at the next try: somebody was faster, the API server is away."""
IN_VAIN: Final = Backoff(5.0, 60.0)
"""For what somebody has to put right first: a right, a quota, a field.  A minute is how long people wait for it."""


class Failures(Generic[K]):
    """How often in a row did each fail?"""

    def __init__(self, chance: Callable[[], float]) -> None:
        self._chance = chance
        self._counts: dict[K, int] = {}

    def failed(self, key: K, backoff: Backoff) -> float:
        """One more; how long to wait now."""
        self._counts[key] = self._counts.get(key, 0) + 1
        return backoff.seconds(self._counts[key], self._chance())

    def row(self, key: K) -> int:
        """How often in a row by now."""
        return self._counts.get(key, 0)

    def forget(self, key: K) -> None:
        """It went through, or is gone."""
        self._counts.pop(key, None)
