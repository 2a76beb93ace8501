"""Runs the benchmark rows: a table on standard output, a JSON file and a plot each in ``bench-out/``.

A new row: a function that returns a ``Result``, and its line in ``ROWS``; what its plot shows is told by its ``charts``
(see ``benchmarks.plots``).
"""

from __future__ import annotations

import dataclasses
import json
import multiprocessing
import os
import platform
import sys
from collections.abc import Callable
from importlib import import_module
from pathlib import Path

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


def _measured(place: str) -> Result:
    module, _, name = place.partition(":")
    row: Callable[[], Result] = getattr(import_module(module), name)
    return row()


def _line(bar: Bar) -> str:
    relation = "<=" if bar.at_most else ">="
    verdict = "kept" if bar.kept else "FELL SHORT"
    return f"  {bar.figure:<52} {bar.value:9.2f} {bar.unit:<12} {relation} {bar.bound:g}  {verdict}"


def main() -> int:
    """Runs the rows that the command line names, or all; 1 if a bar was missed."""
    chosen = [NUMBERS.get(name, name) for name in sys.argv[1:]] or list(ROWS)
    if unknown := [name for name in chosen if name not in ROWS]:
        print(f"no such row: {', '.join(unknown)}; there are {', '.join(ROWS)}", file=sys.stderr)
        return 2
    OUT.mkdir(exist_ok=True)
    kept = True
    for name in chosen:
        # A process for each row: pinning and warm caches of one must not reach the next.
        with multiprocessing.get_context("spawn").Pool(1) as pool:
            result = pool.apply(_measured, (ROWS[name],))
        print(f"{result.row}: {result.workload}")
        for bar in result.bars:
            print(_line(bar))
            kept = kept and bar.kept
        machine = {"cores": os.cpu_count(), "python": platform.python_version(), "machine": platform.machine()}
        record = {**dataclasses.asdict(result), "machine": machine}
        (OUT / f"{name}.json").write_text(json.dumps(record, indent=2) + "\n", "utf-8")
        draw(dataclasses.replace(result, row=name), OUT)
    return 0 if kept else 1


if __name__ == "__main__":
    raise SystemExit(main())
