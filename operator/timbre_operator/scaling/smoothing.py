"""How is a rate told that must rise at once, must not fall with every lull, and must not mistake chance for a change?

Requests come by chance: six a second are thirty in five seconds give or take five.  Whoever follows each rise and waits out each
fall tells a quarter more than there is, and asks for pods that nobody needs.  So the value is a slow mean, which is true on
average; where a fast mean is higher than chance explains, it leaps to that, and where it is lower, it falls faster.
"""

from __future__ import annotations

from math import expm1, sqrt
from typing import Final

UP_SECONDS: Final = 10.0
"""Time constant of the fast mean: 95 % of a step are there after 30 s, which is two looks of the HPA."""
DOWN_SECONDS: Final = 60.0
"""Time constant of a fall: a lull between two bursts is over by then; for longer ones there is the HPA's stabilisation."""
CALM_SECONDS: Final = 180.0
"""Time constant of the slow mean, while nothing changes but by chance: of the noise of what is told each 5 s a ninth is left."""
NOISE_SECONDS: Final = 300.0
"""Over how long the noise is learnt: from sixty looks it is known to a tenth."""
SURE: Final = 5.0
"""Standard deviations of the fast mean that chance explains.  Requests come in clumps and the noise is only estimated: at four, a
service between one pod and two got one by chance on one day in three (`make bench ROW=autoscaling`)."""
NOTHING: Final = 0.0005
"""Below half a thousandth the HPA, which reads thousandths, sees nothing: then a service at rest shows exactly 0."""


class Smoothed:
    """A value that rises faster than it falls; never negative."""

    def __init__(self) -> None:
        self.value = 0.0
        self._fast = 0.0
        self._last = 0.0
        self._variance = 0.0
        """Of what is told, from one time to the next: a step in the load counts in it only once."""
        self._told = 0
        self._rises = False

    def start(self, value: float) -> None:
        """The first value is believed as it is."""
        self.value = self._fast = self._last = value
        self._variance = 0.0
        self._told = 0
        self._rises = False

    def toward(self, value: float, elapsed_seconds: float) -> None:
        """``value`` held for so long."""
        fast = _weight(elapsed_seconds, UP_SECONDS)
        self._fast += (value - self._fast) * fast
        # The variance of an exponential mean, in parts of that of its values.
        chance = SURE * sqrt(self._variance * fast / (2 - fast))
        self._rises = self._fast - self.value > (0.0 if self._rises else chance)
        if self._rises:
            self.value = self._fast
        else:
            falls = self.value - self._fast > chance or self._fast < NOTHING
            self.value += (value - self.value) * _weight(elapsed_seconds, DOWN_SECONDS if falls else CALM_SECONDS)
        self._learn(value, elapsed_seconds)
        if value == 0.0 and self.value < NOTHING:
            self.start(0.0)

    def _learn(self, value: float, elapsed_seconds: float) -> None:
        self._told += 1
        weight = max(_weight(elapsed_seconds, NOISE_SECONDS), 1 / self._told)
        self._variance += ((value - self._last) ** 2 / 2 - self._variance) * weight
        self._last = value


def _weight(elapsed_seconds: float, constant_seconds: float) -> float:
    """Of the newest value in an exponential mean."""
    return -expm1(-elapsed_seconds / constant_seconds)
