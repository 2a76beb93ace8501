"""What does a row look like?  ``bench-out/<row>.svg``, beside its JSON.

A row says what is worth seeing; bars whose name begins with ``timbre`` (else the first) are ours, the others are peers of
the same run::

    Result(
        "hit",
        "64 resident voices, one thread",
        bars=[Bar("device hit, p99", 3.1, "us", 5.0)],
        charts=[
            Chart("A look-up that hits, p50", "us", {"timbre": 0.4, "cachetools + lock": 0.9, "theine": 2.3}),
            Chart("A look-up that hits, p99", "us", {"timbre": 3.1, "theine": 9.0}, limit=5.0),
            Chart("Hit ratio at 20 slots", "share", {"timbre": 0.51, "LRU": 0.30}, limit=0.48, at_most=False),
        ],
    )

Values that lie far apart get a logarithmic axis.  Equal results give equal files.  Where matplotlib is not installed,
nothing is drawn.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Final

from benchmarks.measuring import Bar, Chart, Result

if TYPE_CHECKING:
    from matplotlib.axes import Axes

OURS: Final = "#1f6f8b"
PEERS: Final = "#b8bfc6"
LIMIT: Final = "#c0392b"
FAR_APART: Final = 30.0
"""Beyond this ratio the short bars of a linear axis are no longer seen: 1/30 of a plot's 150 mm is 5 mm."""
WIDTH_INCHES: Final = 8.0
INCHES_PER_BAR: Final = 0.36
INCHES_AROUND: Final = 0.95
"""Title, axis and space of one chart."""


def draw(result: Result, folder: Path) -> Path | None:
    """The plot of a row, written as ``<row>.svg``; None where there is nothing to draw with."""
    try:
        import matplotlib as mpl  # noqa: PLC0415 - a peer of the benchmarks, which run without it too
        from matplotlib.figure import Figure  # noqa: PLC0415 - the same; never pyplot, which looks for a screen
    except ImportError:
        return None
    charts = [chart for chart in result.charts or charts_of_bars(result.bars) if chart.bars]
    if not charts:
        return None
    heights = [INCHES_AROUND + INCHES_PER_BAR * len(chart.bars) for chart in charts]
    style = {"svg.hashsalt": "timbre", "svg.fonttype": "none", "font.size": 9, "font.family": "sans-serif"}
    path = folder / f"{result.row}.svg"
    with mpl.rc_context(style):
        figure = Figure(figsize=(WIDTH_INCHES, sum(heights) + 0.4), layout="constrained")
        figure.suptitle(f"{result.row}: {result.workload}", fontsize=10, x=0.01, ha="left", wrap=True)
        grid = figure.subplots(len(charts), 1, squeeze=False, gridspec_kw={"height_ratios": heights})
        for axes, chart in zip(grid[:, 0], charts, strict=True):
            _draw_chart(axes, chart)
        figure.savefig(path, metadata={"Date": None, "Creator": None})
    return path


def charts_of_bars(bars: Sequence[Bar]) -> list[Chart]:
    """A chart of each bar and its bound: what is seen of a row that says nothing else."""
    return [Chart(bar.figure, bar.unit, {"timbre": bar.value}, bar.bound, at_most=bar.at_most) for bar in bars]


def _draw_chart(axes: Axes, chart: Chart) -> None:
    ours = set(chart.ours) or {name for name in chart.bars if name.startswith("timbre")} or {next(iter(chart.bars))}
    names = list(chart.bars)
    values = [value if math.isfinite(value) else 0.0 for value in chart.bars.values()]
    colours = [OURS if name in ours else PEERS for name in names]
    drawn = axes.barh(names, values, color=colours, height=0.72)
    ground = {"facecolor": "white", "edgecolor": "none", "pad": 1}  # a label is read across the line of the limit
    axes.bar_label(drawn, [f"{value:.4g}" for value in chart.bars.values()], padding=3, bbox=ground, zorder=4)
    shown = [abs(value) for value in [*values, *([chart.limit] if chart.limit else [])] if value]
    logarithmic = min([*values, 1.0]) > 0 and bool(shown) and max(shown) > FAR_APART * min(shown)
    if logarithmic:
        axes.set_xscale("log")
        axes.set_xlim(min(shown) / 3, max(shown) * 3)
    else:
        axes.set_xlim(min(0.0, *values) * 1.15, max(shown, default=1.0) * 1.15)
    if chart.limit is not None:
        relation = "at most" if chart.at_most else "at least"
        axes.axvline(chart.limit, color=LIMIT, linestyle="--", linewidth=1.2)
        axes.annotate(
            f"{relation} {chart.limit:g}", (chart.limit, 1.0), xycoords=("data", "axes fraction"),
            color=LIMIT, fontsize=8, ha="center", va="bottom",
        )  # fmt: skip
    axes.invert_yaxis()  # the first bar on top
    axes.set_title(chart.title, loc="left", fontsize=9, fontweight="bold", pad=14)
    axes.set_xlabel(f"{chart.unit} (logarithmic)" if logarithmic else chart.unit)
    axes.spines[["top", "right"]].set_visible(False)
    axes.grid(visible=True, axis="x", linewidth=0.4, alpha=0.6)
    axes.set_axisbelow(True)
