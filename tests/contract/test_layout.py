"""The rules of the tree that no linter has."""

import ast
import sys
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


def test_the_modules_are_found() -> None:
    assert len(MODULES) > 20


def test_operator_folder_is_no_package() -> None:
    """An ``operator/__init__.py`` would shadow the standard library."""
    assert not (ROOT / "operator" / "__init__.py").exists()


@pytest.mark.parametrize("path", PYTHON_FILES, ids=_name)
def test_module_stays_under_400_lines(path: Path) -> None:
    assert path.read_text("utf-8").count("\n") <= 400


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_module_says_which_question_it_answers(path: Path) -> None:
    assert ast.get_docstring(ast.parse(path.read_text("utf-8")))


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_module_name_is_neither_vague_nor_the_standard_library_s(path: Path) -> None:
    name = path.parent.name if path.stem == "__init__" else path.stem
    assert name not in VAGUE
    assert path.stem.startswith("__") or name not in sys.stdlib_module_names


@pytest.mark.parametrize("path", MODULES, ids=_name)
def test_functions_stay_under_60_lines(path: Path) -> None:
    long = [
        node.name
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) and (node.end_lineno or 0) - node.lineno >= 60
    ]
    assert long == []


@pytest.mark.parametrize("path", PYTHON_FILES, ids=_name)
def test_broad_except_stands_in_few_places_only(path: Path) -> None:
    """The batcher's loop with the engine's worker, the API's edge, and kopf's edge with the operator's turns and looks."""
    allowed = {
        "server/timbre_server/batching",
        "server/timbre_server/engine/worker",
        "server/timbre_server/api",
        "operator/timbre_operator/handlers",
        "operator/timbre_operator/reconciler/work_queue",
        "operator/timbre_operator/reconciler/redis_looks",
    }
    broad = [
        node.lineno
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.ExceptHandler)
        and isinstance(node.type, ast.Name)
        and node.type.id == "Exception"
        and not any(_name(path).startswith(place) for place in allowed)
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
