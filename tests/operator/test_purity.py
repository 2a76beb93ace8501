"""The core decides and does nothing: no clock, no chance, no files, no framework."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

PACKAGE = Path(__file__).resolve().parents[2] / "operator" / "timbre_operator"
PURE = sorted(path for name in ("desired", "plan", "voiceservice") for path in (PACKAGE / name).rglob("*.py"))
_IMPURE = {
    "asyncio", "datetime", "kopf", "kubernetes", "logging", "os", "pathlib", "random", "secrets", "socket", "subprocess",
    "sys", "threading", "time",
}  # fmt: skip


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
