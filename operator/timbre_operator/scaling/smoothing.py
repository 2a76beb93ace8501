"""How is a rate told that must rise at once, must not fall with every lull, and must not mistake chance for a rise?

Requests come by chance: six a second are thirty in five seconds give or take five.  Whoever follows each rise and waits out each
fall tells a quarter more than there is, and asks for pods that nobody needs.  So the value is a slow mean, which is true on
average, and it leaps to a fast mean where that is higher than chance explains.
"""

from __future__ import annotations

from math import expm1, sqrt
from typing import Final

UP_SECONDS: Final = 10.0
"""Time constant of the fast mean: 95 % of a step are there after 30 s, which is two looks of the HPA."""
DOWN_SECONDS: Final = 60.0
"""Time constant of the slow mean: a lull between two requests of a quiet service changes little; the HPA's own stabilisation
of 300 s is for the rest."""
NOISE_SECONDS: Final = 300.0
"""Over how long the noise is learnt: as long as the HPA remembers."""
SURE: Final = 4.0
"""Standard deviations of the fast mean that chance explains: more come about once a day by chance, at 17,000 looks."""
NOTHING: Final = 0.0005
"""Below half a thousandth the HPA, which reads thousandths, sees nothing: then a service at rest shows exactly 0."""


class Smoothed:
    """A value that rises faster than it falls; never negative."""

    def __init__(self) -> None:
        self.value = 0.0
        """The slow mean."""
        self._fast = 0.0
        self._variance = 0.0
        """Of what is told, around the slow mean."""
        self._told = 0

    def start(self, value: float) -> None:
        """The first value is believed as it is."""
        self.value = self._fast = value
        self._variance = 0.0
        self._told = 0

    def toward(self, value: float, elapsed_seconds: float) -> None:
        """``value`` held for so long."""
        fast, slow = _weight(elapsed_seconds, UP_SECONDS), _weight(elapsed_seconds, DOWN_SECONDS)
        deviation = value - self.value
        self._fast += (value - self._fast) * fast
        self.value += deviation * slow
        # The variance of an exponential mean, in parts of that of its values.
        if self._fast - self.value > SURE * sqrt(self._variance * fast / (2 - fast)):
            self.value = self._fast
        else:
            self._told += 1
            weight = max(_weight(elapsed_seconds, NOISE_SECONDS), 1 / self._told)
            self._variance += (deviation * deviation - self._variance) * weight
        if value == 0.0 and self.value < NOTHING:
            self.start(0.0)


def _weight(elapsed_seconds: float, constant_seconds: float) -> float:
    """Of the newest value in an exponential mean."""
    return -expm1(-elapsed_seconds / constant_seconds)
