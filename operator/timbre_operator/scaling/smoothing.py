"""How is a rate told that must rise at once and must not fall with every lull?"""

from __future__ import annotations

from math import expm1
from typing import Final

UP_SECONDS: Final = 10.0
"""Time constant upwards: 95 % of a step are there after 30 s, which is two periods of the HPA."""
DOWN_SECONDS: Final = 60.0
"""Time constant downwards: a lull between two requests of a quiet service changes nothing; the HPA's own stabilisation of
300 s is for the rest."""
NOTHING: Final = 0.0005
"""Below half a thousandth the HPA, which reads thousandths, sees nothing: then a service at rest shows exactly 0."""


class Smoothed:
    """An exponentially smoothed value that rises faster than it falls; never negative."""

    def __init__(self) -> None:
        self.value = 0.0

    def start(self, value: float) -> None:
        """The first value is believed as it is."""
        self.value = value

    def toward(self, value: float, elapsed_seconds: float) -> None:
        """``value`` held for so long."""
        constant = UP_SECONDS if value > self.value else DOWN_SECONDS
        self.value += (value - self.value) * -expm1(-elapsed_seconds / constant)
        if value == 0.0 and self.value < NOTHING:
            self.value = 0.0
