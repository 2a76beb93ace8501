"""Runs the benchmark rows: a table on standard output, a JSON file and a plot each in ``bench-out/``.

What never came to an end is null there, and ``no_numbers`` says where.

A new row: a function that returns a ``Result``, and its line in ``ROWS``; what its plot shows is told by its ``charts``
(see ``benchmarks.plots``).  A row that needs what is not there says so and is passed over; the others run.
"""

from __future__ import annotations

import dataclasses
import json
import math
import multiprocessing
import os
import platform
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from importlib import import_module
from pathlib import Path
from typing import Any

from benchmarks.measuring import Bar, Result
from benchmarks.plots import draw

OUT = Path(__file__).resolve().parents[1] / "bench-out"
ROWS = {
    "start": "benchmarks.server_rows:start",
    "memory": "benchmarks.server_rows:memory",
    "speed": "benchmarks.server_rows:speed",
    "first-audio": "benchmarks.server_rows:first_audio",
    "quality": "benchmarks.quality_row:quality",
    "overhead": "benchmarks.overhead_row:overhead",
    "hit": "benchmarks.hit_row:hit",
    "shared-tier": "benchmarks.shared_tier_row:shared_tier",
    "switches": "benchmarks.switches_row:switches",
    "warmup": "benchmarks.warmup_row:warmup",
    "codec": "benchmarks.codec_row:codec",
    "eviction": "benchmarks.eviction_row:eviction",
    "sizing": "benchmarks.sizing_row:sizing",
    "results": "benchmarks.results_row:results",
    "repeats": "benchmarks.repeats_row:repeats",
    "freshness": "benchmarks.freshness_row:freshness",
    "outage": "benchmarks.outage_row:outage",
    "operator": "benchmarks.operator_row:operator",
    "autoscaling": "benchmarks.autoscaling_row:autoscaling",
}
NUMBERS = {
    "1": "hit",
    "2": "shared-tier",
    "3": "switches",
    "4": "codec",
    "5": "warmup",
    "6": "eviction",
    "7": "results",
    "8": "repeats",
    "14": "freshness",
    "15": "outage",
    "17": "sizing",
}
"""``ROW=2`` is ``ROW=shared-tier``: the numbers under which the rows are planned and reported."""


def row_at(place: str) -> Callable[[], Result]:
    """The function of ``module:name``.  Raises: ModuleNotFoundError."""
    module, _, name = place.partition(":")
    row: Callable[[], Result] = getattr(import_module(module), name)
    return row


def _measured(place: str) -> Result | str:
    """What the row measured, or what it lacks, in a sentence."""
    try:
        return row_at(place)()
    except ModuleNotFoundError as error:
        return f"{error.name} is not installed; `make setup` brings what the rows need"
    except RuntimeError as error:  # of rows, and of programs that they start
        return str(error)


def _line(bar: Bar) -> str:
    relation = "<=" if bar.at_most else ">="
    verdict = "kept" if bar.kept else "FELL SHORT"
    return f"  {bar.figure:<52} {bar.value:9.2f} {bar.unit:<12} {relation} {bar.bound:g}  {verdict}"


def _written(name: str, result: Result, seconds: float) -> None:
    machine = {"cores": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
    missing: dict[str, str] = {}
    figures = _numbers_of(dataclasses.asdict(result), "", missing)
    record = {**figures, "seconds": round(seconds, 1), "machine": machine, "no_numbers": missing}
    (OUT / f"{name}.json").write_text(json.dumps(record, indent=2, allow_nan=False) + "\n", "utf-8")
    draw(dataclasses.replace(result, row=name), OUT)


def _numbers_of(value: Any, path: str, missing: dict[str, str]) -> Any:
    """The same with null for what is no number, as JSON has none for it; ``missing`` gets its path, and what it was."""
    if isinstance(value, float) and not math.isfinite(value):
        missing[path] = "not a number" if math.isnan(value) else "infinite: it never came to an end"
        return None
    if isinstance(value, Mapping):
        return {key: _numbers_of(part, f"{path}.{key}".lstrip("."), missing) for key, part in value.items()}
    if isinstance(value, Sequence) and not isinstance(value, str):
        return [_numbers_of(part, f"{path}[{place}]", missing) for place, part in enumerate(value)]
    return value


def _run(name: str) -> bool:
    """Whether the row was measured and its bars were kept."""
    began = time.monotonic()
    # A process for each row: pinning and warm caches of one must not reach the next.
    with multiprocessing.get_context("spawn").Pool(1) as pool:
        result = pool.apply(_measured, (ROWS[name],))
    if isinstance(result, str):
        print(f"{name}: NOT MEASURED: {result}")
        return False
    seconds = time.monotonic() - began
    print(f"{result.row}: {result.workload} ({seconds:.0f} s)")
    for bar in result.bars:
        print(_line(bar))
    _written(name, result, seconds)
    return all(bar.kept for bar in result.bars)


def main() -> int:
    """Runs the rows that the command line names, or all; 1 if a bar was missed or a row not measured."""
    chosen = [NUMBERS.get(name, name) for name in sys.argv[1:]] or list(ROWS)
    if unknown := [name for name in chosen if name not in ROWS]:
        print(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}", file=sys.stderr)
        return 2
    OUT.mkdir(exist_ok=True)
    kept = [_run(name) for name in chosen]
    return 0 if all(kept) else 1


if __name__ == "__main__":
    raise SystemExit(main())
