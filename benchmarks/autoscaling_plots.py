"""What does a simulated service look like?  The plots of ``docs/autoscaling.md``; equal simulations give equal files."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from benchmarks.autoscaling_scenarios import HOUR, TARGET
from benchmarks.autoscaling_simulation import Moment, Simulation
from benchmarks.plots import LIMIT, OURS, PEERS, WIDTH_INCHES

if TYPE_CHECKING:
    from matplotlib.axes import Axes

IMAGES: Final = Path(__file__).resolve().parents[1] / "docs" / "images"
_PANEL_INCHES: Final = 1.7
_STYLE: Final = {"svg.hashsalt": "timbre", "svg.fonttype": "none", "font.size": 9, "font.family": "sans-serif"}
Panel = Callable[["Axes"], None]


def draw_day(simulation: Simulation, *, around: tuple[float, float], folder: Path = IMAGES) -> list[Path]:
    """The whole day, and the hours in ``around`` from closer by."""
    moments = simulation.moments
    begin, end = around
    close = [moment for moment in moments if begin <= moment.time < end]
    return [
        _drawn(
            "autoscaling-day", "A day with a spike of +300 % at two o'clock", _service(moments, HOUR, "hour"), folder
        ),
        _drawn(
            "autoscaling-spike",
            "The spike from closer by",
            _service(close, 60, "minutes after its beginning", begin=begin + 300),
            folder,
        ),
    ]


def draw_one_offs(simulation: Simulation, *, folder: Path = IMAGES) -> Path:
    """Voices that nobody has seen before, at a constant rate of requests."""
    moments = simulation.moments

    def hit_rate(axes: Axes) -> None:
        _line(axes, moments, lambda moment: moment.hit_rate, 60)
        axes.set(ylabel="hit rate, %", ylim=(0, 105))

    panels = [*_service(moments, 60, "minutes")]
    return _drawn(
        "autoscaling-one-offs",
        "For an hour every fifth request brings its own recording",
        [panels[0], hit_rate, *panels[1:]],
        folder,
    )


def draw_loop_gain(shared: Sequence[float], alone: Sequence[float], *, folder: Path = IMAGES) -> Path:
    """What so many pods are asked to do, beside what they can."""

    def panel(axes: Axes) -> None:
        pods = range(1, len(shared) + 1)
        axes.plot(pods, [TARGET * number for number in pods], color=LIMIT, linestyle="--", label="what they shall do")
        axes.plot(pods, shared, color=OURS, marker="o", markersize=3, label="asked for, with a shared tier (15 ms)")
        axes.plot(pods, alone, color=PEERS, marker="s", markersize=3, label="asked for, each for itself (2.8 s)")
        axes.set(xlabel="pods", ylabel="engine seconds per second", ylim=(0, None))
        axes.legend(fontsize=8)

    return _drawn("autoscaling-loop-gain", "Round robin: each pod loads each voice", [panel], folder, panel_inches=3.0)


def _service(moments: Sequence[Moment], unit_seconds: float, unit: str, begin: float = 0.0) -> list[Panel]:
    def requests(axes: Axes) -> None:
        _line(axes, moments, lambda moment: moment.rate, unit_seconds, begin)
        axes.set(ylabel="requests / s", ylim=(0, None))

    def series(axes: Axes) -> None:
        _line(axes, moments, lambda moment: moment.work, unit_seconds, begin, label="timbre_work_seconds")
        axes.set(ylabel="work", ylim=(0, None))
        queue = axes.twinx()
        _line(
            queue, moments, lambda moment: moment.queue, unit_seconds, begin, colour=PEERS, label="timbre_queue_depth"
        )
        queue.set(ylabel="queue", ylim=(0, None))
        lines = [*axes.get_lines(), *queue.get_lines()]
        axes.legend(lines, [str(line.get_label()) for line in lines], fontsize=8, loc="upper left")

    def pods(axes: Axes) -> None:
        _steps(axes, moments, lambda moment: moment.decided, unit_seconds, begin, colour=PEERS, label="there shall be")
        _steps(axes, moments, lambda moment: moment.ready, unit_seconds, begin, colour=OURS, label="ready")
        axes.set(ylabel="pods", ylim=(0, None))
        axes.legend(fontsize=8, loc="upper left")

    def waits(axes: Axes) -> None:
        _line(axes, moments, lambda moment: moment.wait_p95, unit_seconds, begin)
        axes.set(ylabel="wait p95, s", ylim=(0, None), xlabel=unit)

    return [requests, series, pods, waits]


def _line(
    axes: Axes, moments: Sequence[Moment], value: Callable[[Moment], float], unit_seconds: float, begin: float = 0.0,
    *, colour: str = OURS, label: str | None = None,
) -> None:  # fmt: skip
    times = [(moment.time - begin) / unit_seconds for moment in moments]
    axes.plot(times, [value(moment) for moment in moments], color=colour, linewidth=1.0, label=label)


def _steps(
    axes: Axes, moments: Sequence[Moment], value: Callable[[Moment], float], unit_seconds: float, begin: float,
    *, colour: str, label: str,
) -> None:  # fmt: skip
    times = [(moment.time - begin) / unit_seconds for moment in moments]
    values = [value(moment) for moment in moments]
    axes.step(times, values, where="post", color=colour, linewidth=1.2, label=label)


def _drawn(
    name: str, title: str, panels: Sequence[Panel], folder: Path, *, panel_inches: float = _PANEL_INCHES
) -> Path:
    import matplotlib as mpl  # noqa: PLC0415 - the benchmarks run without it too
    from matplotlib.figure import Figure  # noqa: PLC0415 - the same; never pyplot, which looks for a screen

    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.svg"
    style: Any = _STYLE
    with mpl.rc_context(style):
        size = (WIDTH_INCHES, panel_inches * len(panels) + 0.5)
        figure = Figure(figsize=size, layout="constrained")
        figure.suptitle(title, fontsize=10, x=0.01, ha="left")
        grid = figure.subplots(len(panels), 1, squeeze=False, sharex=len(panels) > 1)
        for axes, panel in zip(grid[:, 0], panels, strict=True):
            panel(axes)
            axes.spines[["top"]].set_visible(False)
            axes.grid(visible=True, linewidth=0.4, alpha=0.6)
        figure.savefig(path, metadata={"Date": None, "Creator": None})
    return path
