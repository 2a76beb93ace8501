"""The plots of the benchmarks: one for each row, the same for the same result, and none where nothing can draw."""

import sys
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from benchmarks.measuring import Bar, Chart, Result
from benchmarks.plots import charts_of_bars, draw
from benchmarks.run import NUMBERS, ROWS

FAR_APART = Chart("Waiting for Redis", "ms", {"timbre": 1.0, "a peer": 5000.0}, limit=60.0)
NEAR = Chart("Hit ratio", "share", {"timbre": 0.51, "LRU": 0.30}, limit=0.48, at_most=False)


def result(*charts: Chart) -> Result:
    return Result("row", "a workload", [Bar("p99 of a hit", 3.0, "us", 5.0)], charts=charts)


def words(svg: Path) -> set[str]:
    return {element.text or "" for element in ET.parse(svg).iter() if element.tag.endswith("}text")}


def test_a_plot_names_the_parties_their_values_units_and_the_bound(tmp_path: Path) -> None:
    drawn = draw(result(FAR_APART, NEAR), tmp_path)
    assert drawn == tmp_path / "row.svg"
    assert {"timbre", "a peer", "LRU", "0.51", "5000", "at most 60", "at least 0.48", "share"} <= words(drawn)


def test_values_far_apart_get_a_logarithmic_axis_and_near_ones_do_not(tmp_path: Path) -> None:
    drawn = draw(result(FAR_APART, NEAR), tmp_path)
    assert drawn is not None
    assert "ms (logarithmic)" in words(drawn)
    assert "share (logarithmic)" not in words(drawn)


def test_equal_results_give_equal_files(tmp_path: Path) -> None:
    first = draw(result(FAR_APART, NEAR), tmp_path)
    assert first is not None
    before = first.read_bytes()
    first.unlink()
    draw(result(FAR_APART, NEAR), tmp_path)
    assert first.read_bytes() == before


def test_a_row_without_charts_shows_its_bars_beside_their_bounds(tmp_path: Path) -> None:
    drawn = draw(result(), tmp_path)
    assert drawn is not None
    assert {"p99 of a hit", "at most 5", "us"} <= words(drawn)
    assert charts_of_bars(result().bars) == [Chart("p99 of a hit", "us", {"timbre": 3.0}, 5.0)]


@pytest.mark.parametrize("value", [0.0, -1.5, float("inf"), float("nan")])
def test_a_strange_value_is_no_reason_to_fail(tmp_path: Path, value: float) -> None:
    assert draw(result(Chart("Strange", "ms", {"timbre": value, "a peer": 5.0}, limit=1.0)), tmp_path)


def test_without_matplotlib_nothing_is_drawn(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "matplotlib", None)
    assert draw(result(NEAR), tmp_path) is None
    assert list(tmp_path.iterdir()) == []


def test_every_number_of_the_plan_leads_to_a_row() -> None:
    assert set(NUMBERS.values()) <= set(ROWS)
