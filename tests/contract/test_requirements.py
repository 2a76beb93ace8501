"""Does each image hold what its program imports?"""

import ast
import re
import sys
from collections.abc import Iterator
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
OURS = {"timbre_contract", "timbre_server", "timbre_operator"}
SERVER = ("server/timbre_server", "server/timbre_contract")
OPERATOR = ("operator/timbre_operator", "server/timbre_contract")
# The engine pocket-tts and the device tier; the server says so where they are wanted and torch is not there.
NEED_TORCH = {"torch", "transformers", "huggingface_hub", "pynvml"}
# Options of the cache of finished speech, with the same words.
EXTRAS = {"cryptography", "obstore"}


def _imports(folder: Path) -> Iterator[str]:
    """First names of what is imported, wherever in a module."""
    for path in folder.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text("utf-8"))):
            if isinstance(node, ast.Import):
                yield from (alias.name.partition(".")[0] for alias in node.names)
            elif isinstance(node, ast.ImportFrom) and node.module:
                yield node.module.partition(".")[0]


def _normal(name: str) -> str:
    return re.sub(r"[-_.]+", "-", name).lower()


@pytest.mark.parametrize(
    ("requirements", "folders", "without"),
    [
        ("server", SERVER, NEED_TORCH | EXTRAS),
        ("server-torch", SERVER, EXTRAS),
        ("operator", OPERATOR, set()),
    ],
    ids=["server", "server with torch", "operator"],
)
def test_what_is_imported_is_locked_for_the_image(
    requirements: str, folders: tuple[str, ...], without: set[str]
) -> None:
    text = (ROOT / "requirements" / f"{requirements}.txt").read_text("utf-8")
    locked = {_normal(name) for name in re.findall(r"^([A-Za-z0-9._-]+)==", text, re.MULTILINE)}
    distributions = packages_distributions()
    imported = {name for folder in folders for name in _imports(ROOT / folder)} - OURS - set(sys.stdlib_module_names)
    missing = {name for name in imported if not locked.intersection(map(_normal, distributions.get(name, [name])))}
    assert missing - without == set()
