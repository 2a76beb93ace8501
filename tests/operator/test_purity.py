"""The core decides and does nothing: no clock, no chance, no files, no framework."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "operator" / "timbre_operator"
PURE = sorted(
    path for name in ("desired", "plan", "scaling", "status", "voiceservice") for path in (PACKAGE / name).rglob("*.py")
)
_IMPURE = {
    "asyncio", "kopf", "kubernetes", "logging", "os", "pathlib", "random", "secrets", "socket", "subprocess",
    "sys", "threading", "time",
}  # fmt: skip
_CLOCKS = {"now", "utcnow", "today"}
"""Methods of ``datetime`` that look at the clock; times that are given may be computed with."""


def test_the_pure_modules_are_found() -> None:
    assert len(PURE) > 15


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_pure_module_imports_nothing_that_acts(path: Path) -> None:
    tree = ast.walk(ast.parse(path.read_text("utf-8")))
    imported = set()
    for node in tree:
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            imported.add((node.module or "").partition(".")[0])
    assert imported & _IMPURE == set()


@pytest.mark.parametrize("path", PURE, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_a_pure_module_looks_at_no_clock(path: Path) -> None:
    calls = [node.func for node in ast.walk(ast.parse(path.read_text("utf-8"))) if isinstance(node, ast.Call)]
    assert [call.attr for call in calls if isinstance(call, ast.Attribute) and call.attr in _CLOCKS] == []
