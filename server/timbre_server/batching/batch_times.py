"""How long does the engine take for a batch, and hence for a job in a full one?  Learnt from the batches that ran.

    S(jobs) = fixed + slope * (sum of their costs) + longest * (the largest of them)

The costs are the engine's own predictions for each job alone.  What a batch takes only once is ``fixed``; engines that make
speech step by step also go on for all jobs as long as the longest one lasts.  A full batch is what counts where an engine's
capacity is at stake: alone, a job costs several times its share.

References: decayed least squares with a ridge towards "batching gains nothing", the one thing that batches of one job say.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from itertools import product
from typing import Final

MEMORY: Final = 0.99
"""Weight that the past keeps with each batch: the last hundred count, among which some are large wherever load matters."""

RIDGE: Final = 1e-3
"""Weight of the prior beside the data.  Times are noisy by some percent, so a share of a thousandth decides only what the
batches leave open: with one job in each, whether a longer batch would have gained anything."""

LARGEST_GAIN: Final = 1 / 64
"""No job is believed to cost less of a batch than this share of its cost alone: the largest batch that settings ask for."""

_Weights = tuple[float, float, float]


class BatchTimes:
    """The learnt times of one kind of batches; pure."""

    def __init__(self) -> None:
        self._moments = [[0.0] * 4 for _ in range(3)]
        """Decayed sums of products: of 1, the sum and the largest cost (rows) with these and the time (columns)."""
        self._weights: _Weights | None = None
        """fixed, slope, longest; None while they do not know the latest batch."""

    def observe(self, costs_seconds: Sequence[float], busy_seconds: float) -> None:
        """A batch of jobs with these costs ran well."""
        values = (1.0, sum(costs_seconds), max(costs_seconds), busy_seconds)
        for moments, row in zip(self._moments, values[:3], strict=True):
            for column, value in enumerate(values):
                moments[column] = MEMORY * moments[column] + row * value
        self._weights = None

    def share_seconds(self, costs_seconds: Sequence[float], batch_size: int) -> float:
        """Engine time of these jobs if each runs in a batch of ``batch_size`` of its like."""
        if not costs_seconds:
            return 0.0
        if self._weights is None:
            self._weights = _fitted(self._moments)
        fixed, slope, longest = self._weights
        total = sum(costs_seconds)
        share = len(costs_seconds) * fixed / batch_size + (slope + longest / batch_size) * total
        return max(share, LARGEST_GAIN * total)


def _fitted(moments: Sequence[Sequence[float]]) -> _Weights:
    """The weights, none negative, that are nearest to what the batches took."""
    total, busy = moments[0][1], moments[0][3]
    if total <= 0.0:
        return 0.0, 1.0, 0.0
    ratio = busy / total  # the prior: every cost counts alike, whatever else is in the batch
    matrix = [list(row[:3]) for row in moments]
    target = [row[3] - ratio * row[1] for row in moments]
    for place in range(3):
        matrix[place][place] *= 1 + RIDGE
    bounds = (0.0, -ratio, 0.0)
    best, least = (0.0, 0.0, 0.0), math.inf
    for fixed_there in product((False, True), repeat=3):
        found = _solved(matrix, target, [bound if at else None for bound, at in zip(bounds, fixed_there, strict=True)])
        if found is None or any(value < bound - 1e-12 for value, bound in zip(found, bounds, strict=True)):
            continue
        loss = _loss(matrix, target, found)
        if loss < least:
            best, least = found, loss
        if not any(fixed_there):
            break  # the problem is convex: what is best without bounds and keeps them is best
    return max(0.0, best[0]), max(0.0, best[1] + ratio), max(0.0, best[2])


def _solved(
    matrix: Sequence[Sequence[float]], target: Sequence[float], known: Sequence[float | None]
) -> _Weights | None:
    """The least squares where some values are known; by elimination, the pivots on the diagonal of a definite matrix."""
    rows = [[*matrix[place], target[place]] for place in range(3)]
    for place, value in enumerate(known):
        if value is not None:
            rows[place] = [float(column == place) for column in range(3)] + [value]
    for place in range(3):
        pivot = rows[place][place]
        if pivot <= 0.0:
            return None
        for other in range(3):
            if other != place:
                factor = rows[other][place] / pivot
                rows[other] = [a - factor * b for a, b in zip(rows[other], rows[place], strict=True)]
    return rows[0][3] / rows[0][0], rows[1][3] / rows[1][1], rows[2][3] / rows[2][2]


def _loss(matrix: Sequence[Sequence[float]], target: Sequence[float], found: _Weights) -> float:
    return sum(found[i] * (sum(matrix[i][j] * found[j] for j in range(3)) - 2 * target[i]) for i in range(3))
