"""Reasons are an API: each is on the page, and the page promises no other."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from timbre_operator.observed import RedisProblem

ROOT = Path(__file__).resolve().parents[2]
STATUS = ROOT / "operator" / "timbre_operator" / "status"
PAGE = (ROOT / "docs" / "conditions.md").read_text("utf-8")
_REASON = re.compile(r"[A-Z][A-Za-z]+")
_PLACE = {"Finding": 0, "Verdict": 1}
"""Where a reason stands among the arguments."""


def _reasons(tree: ast.Module) -> Iterator[str]:
    """Reasons that are written as texts, or as constants of the module."""
    named = {
        statement.target.id: statement.value.value
        for statement in tree.body
        if isinstance(statement, ast.AnnAssign)
        and isinstance(statement.target, ast.Name)
        and isinstance(statement.value, ast.Constant)
    }
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in _PLACE:
            place = _PLACE[node.func.id]
            yield from _texts(node.args[place] if len(node.args) > place else None, named)
        elif isinstance(node, ast.Tuple) and len(node.elts) >= 2:  # causes of the scheduler, and what they are called
            yield from _texts(node.elts[0], named)


def _texts(node: ast.expr | None, named: dict[str, object]) -> Iterator[str]:
    for part in ast.walk(node) if node is not None else ():
        text = (
            part.value if isinstance(part, ast.Constant) else named.get(part.id) if isinstance(part, ast.Name) else None
        )
        if isinstance(text, str) and _REASON.fullmatch(text):
            yield text


def _written() -> set[str]:
    found = {reason for path in STATUS.glob("*.py") for reason in _reasons(ast.parse(path.read_text("utf-8")))}
    # What is compared with, not given: an event's reason, a probe's name, kinds of objects and of Kubernetes' conditions.
    others = {
        "AbleToScale",
        "Ready",
        "ControllerResizeError",
        "Evicted",
        "Deployment",
        "StatefulSet",
        "Redis",
        "Apply",
        "Normal",
        "ProbeFailing",
    }
    return found - others


def test_reasons_are_found() -> None:
    assert {"Serving", "ImagePullFailed", "InsufficientGPU", "UntoleratedTaint", "Settled", "OOMKilled"} <= _written()


def test_every_reason_is_on_the_page() -> None:
    wanted = _written() | {problem.value for problem in RedisProblem}
    assert sorted(reason for reason in wanted if f"`{reason}`" not in PAGE) == []


def test_the_page_names_no_reason_that_is_never_given() -> None:
    rows = [line.split("|")[1] for line in PAGE.splitlines() if line.startswith("| `")]
    listed = {word for row in rows for word in re.findall(r"`([A-Za-z]+)`", row)}
    conditions = {"Ready", "Progressing", "RedisReady", "CacheWarm", "AutoscalingActive", "Degraded"}
    composed = {"ReadinessProbeFailing", "LivenessProbeFailing"}
    assert listed - conditions - composed - _written() - {problem.value for problem in RedisProblem} == set()
