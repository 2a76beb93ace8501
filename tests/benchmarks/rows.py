"""Rows that end at once, for the test of what runs them: one that measures, and some that cannot."""

from __future__ import annotations

import math

from benchmarks.measuring import Bar, Result
from tests.cluster.control_plane import ToolsMissing


def measured() -> Result:
    """A bar that is kept."""
    return Result("measured", "nothing at all", [Bar("a figure", 1.0, "s", 2.0)])


def missed() -> Result:
    """A bar that is not kept."""
    return Result("missed", "nothing at all", [Bar("a figure", 3.0, "s", 2.0)])


def never_settled() -> Result:
    """Figures that are no numbers: what was waited for did not come."""
    figures = {"peer": {"settled_seconds": math.inf, "tries": [1.0, math.nan]}, "ours_seconds": 2.0}
    return Result("never-settled", "nothing at all", [Bar("a figure", math.inf, "s", 2.0)], figures)


def without_tools() -> Result:
    """Programs that were not built."""
    raise ToolsMissing(["etcd", "kubectl"])


def without_a_package() -> Result:
    """A peer that is not installed."""
    raise ModuleNotFoundError("No module named 'theine'", name="theine")
