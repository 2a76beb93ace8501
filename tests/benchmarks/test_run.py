"""What runs the rows: by name or number, one after the other, whatever one of them lacks."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from benchmarks import run

Run = Callable[..., tuple[int, str]]
MEASURED, MISSED, WITHOUT_TOOLS, WITHOUT_A_PACKAGE = "measured", "missed", "without-tools", "without-a-package"
NEVER_SETTLED = "never-settled"


@pytest.fixture
def ran(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Run:
    """Exit code and output of ``python -m benchmarks.run ROW...``, with the rows of ``tests.benchmarks.rows``."""
    names = (MEASURED, MISSED, NEVER_SETTLED, WITHOUT_TOOLS, WITHOUT_A_PACKAGE)
    monkeypatch.setattr(run, "ROWS", {name: f"tests.benchmarks.rows:{name.replace('-', '_')}" for name in names})
    monkeypatch.setattr(run, "NUMBERS", {"1": MEASURED})
    monkeypatch.setattr(run, "OUT", tmp_path / "out")

    def go(*rows: str) -> tuple[int, str]:
        monkeypatch.setattr(sys, "argv", ["run", *rows])
        code = run.main()
        said = capsys.readouterr()
        return code, said.out + said.err

    return go


@pytest.mark.parametrize("name", [*run.ROWS, *run.NUMBERS])
def test_every_row_can_be_run_by_its_name_and_its_number(name: str) -> None:
    assert callable(run.row_at(run.ROWS[run.NUMBERS.get(name, name)]))


@pytest.mark.parametrize("name", [MEASURED, "1"])
def test_a_row_leaves_its_figures_and_how_long_it_took(name: str, ran: Run, tmp_path: Path) -> None:
    code, said = ran(name)
    assert code == 0
    assert "kept" in said
    record = json.loads((tmp_path / "out" / "measured.json").read_text("utf-8"))
    assert record["bars"][0]["value"] == 1.0
    assert record["seconds"] >= 0


def test_a_bar_that_is_missed_is_told_by_the_exit_code(ran: Run) -> None:
    assert ran(MISSED)[0] == 1


def test_what_never_came_to_an_end_is_null_with_its_reason_and_not_infinity(ran: Run, tmp_path: Path) -> None:
    assert ran(NEVER_SETTLED)[0] == 1

    def refused(word: str) -> None:
        raise AssertionError(f"{word} is no JSON")

    text = (tmp_path / "out" / "never-settled.json").read_text("utf-8")
    record = json.loads(text, parse_constant=refused)
    assert record["bars"][0]["value"] is None
    assert record["figures"] == {"peer": {"settled_seconds": None, "tries": [1.0, None]}, "ours_seconds": 2.0}
    never = "infinite: it never came to an end"
    assert record["no_numbers"] == {
        "bars[0].value": never, "figures.peer.settled_seconds": never, "figures.peer.tries[1]": "not a number",
    }  # fmt: skip


def test_a_row_that_is_unknown_is_answered_with_those_that_there_are(ran: Run) -> None:
    code, said = ran("nothing")
    assert (code, said.strip()) == (2, f"no such row: nothing; there are {', '.join(run.ROWS)}")


@pytest.mark.parametrize(
    ("row", "sentence"),
    [
        (WITHOUT_TOOLS, "etcd, kubectl: not built yet; `make cluster-tools` builds them, once per machine"),
        (WITHOUT_A_PACKAGE, "theine is not installed; `make setup` brings what the rows need"),
    ],
)
def test_what_a_row_lacks_is_said_in_a_sentence_and_the_others_run(row: str, sentence: str, ran: Run) -> None:
    code, said = ran(row, MEASURED)
    assert code == 1
    assert f"{row}: NOT MEASURED: {sentence}\n" in said
    assert "measured: nothing at all" in said
