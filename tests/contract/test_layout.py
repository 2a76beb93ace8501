"""The rules of the tree that no linter has."""

import ast
import sys
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
PACKAGES = [
    ROOT / "server" / "timbre_contract",
    ROOT / "server" / "timbre_server",
    ROOT / "operator" / "timbre_operator",
]
MODULES = sorted(path for package in PACKAGES for path in package.rglob("*.py"))
PYTHON_FILES = MODULES + sorted(
    path for folder in ("tests", "benchmarks", "examples", "scripts", "e2e") for path in (ROOT / folder).rglob("*.py")
)
VAGUE = {"utils", "util", "helpers", "helper", "common", "misc", "manager", "data", "info", "process", "tools"}


def _name(path: Path) -> str:
    return str(path.relative_to(ROOT))


def _offending(paths: Iterable[Path], rule_is_broken: Callable[[Path], bool]) -> list[str]:
    return [_name(path) for path in paths if rule_is_broken(path)]


@cache
def _tree(path: Path) -> ast.Module:
    return ast.parse(path.read_text("utf-8"))


def test_the_modules_are_found() -> None:
    assert len(MODULES) > 20


def test_operator_folder_is_no_package() -> None:
    """An ``operator/__init__.py`` would shadow the standard library."""
    assert not (ROOT / "operator" / "__init__.py").exists()


def test_modules_stay_under_400_lines() -> None:
    assert _offending(PYTHON_FILES, lambda path: path.read_text("utf-8").count("\n") > 400) == []


def test_modules_say_which_question_they_answer() -> None:
    assert _offending(MODULES, lambda path: not ast.get_docstring(_tree(path))) == []


def test_module_names_are_neither_vague_nor_the_standard_library_s() -> None:
    def bad(path: Path) -> bool:
        name = path.parent.name if path.stem == "__init__" else path.stem
        return name in VAGUE or (not path.stem.startswith("__") and name in sys.stdlib_module_names)

    assert _offending(MODULES, bad) == []


def test_functions_stay_under_60_lines() -> None:
    long = [
        f"{_name(path)}:{node.lineno}"
        for path in MODULES
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= 60
    ]
    assert long == []


def test_broad_except_stands_in_few_places_only() -> None:
    """The batcher's loop with the engine's worker, the API's edge, and kopf's edge with the operator's turns and looks."""
    allowed = (
        "server/timbre_server/batching",
        "server/timbre_server/engine/worker",
        "server/timbre_server/api",
        "operator/timbre_operator/handlers",
        "operator/timbre_operator/reconciler/work_queue",
        "operator/timbre_operator/reconciler/redis_looks",
    )
    broad = [
        f"{_name(path)}:{node.lineno}"
        for path in PYTHON_FILES
        if not _name(path).startswith(allowed)
        for node in ast.walk(_tree(path))
        if isinstance(node, ast.ExceptHandler) and isinstance(node.type, ast.Name) and node.type.id == "Exception"
    ]
    assert broad == []


@pytest.mark.parametrize("locked", sorted((ROOT / "requirements").glob("*.txt")), ids=_name)
def test_locked_requirements_have_hashes_and_no_address(locked: Path) -> None:
    text = locked.read_text("utf-8")
    assert "--hash=sha256:" in text
    assert "://" not in text
    assert "--index" not in text


def test_nothing_that_a_server_installs_brings_torch() -> None:
    """It takes 5 GB, and the default engine needs none of it."""
    for part in ("server", "dev"):
        locked = (ROOT / "requirements" / f"{part}.txt").read_text("utf-8")
        names = {line.partition("==")[0] for line in locked.splitlines()}
        assert names.isdisjoint({"torch", "triton", "transformers"})
