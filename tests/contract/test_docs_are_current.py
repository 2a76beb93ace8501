"""Pages that are made from code are those of this code."""

import subprocess
import sys
from pathlib import Path

import pytest

from timbre_server.settings import variables

ROOT = Path(__file__).resolve().parents[2]


def test_generated_pages_are_current() -> None:
    done = subprocess.run(
        [sys.executable, "scripts/generate_docs.py", "--check"], cwd=ROOT, capture_output=True, text=True, check=False
    )
    assert (done.returncode, done.stderr) == (0, "")


def test_every_setting_has_a_meaning() -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    for name, field in variables():
        assert field.description, name
        assert f"`{name}`" in page


@pytest.mark.parametrize("name", ["scope", "pod"])
def test_a_setting_of_no_group_is_told_by_its_row_alone(name: str) -> None:
    page = (ROOT / "docs" / "settings.md").read_text("utf-8")
    told = page.partition(f"\n## {name}\n")[2].partition("\n## ")[0].split("\n")
    assert [line for line in told if line and not line.startswith("|")] == []
    assert any(f"`TIMBRE_{name.upper()}`" in line for line in told)


def test_the_architecture_names_every_package() -> None:
    page = (ROOT / "docs" / "architecture.md").read_text("utf-8")
    packages = {path.parent.name for path in (ROOT / "server").glob("timbre_*/*/__init__.py")}
    assert [name for name in sorted(packages) if f"`{name}/`" not in page] == []


def test_the_readme_map_names_every_top_level_folder() -> None:
    page = (ROOT / "README.md").read_text("utf-8")
    tracked = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout.split(
        "\n"
    )
    folders = {name.split("/")[0] for name in tracked if "/" in name and not name.startswith(".")}
    assert [name for name in sorted(folders) if f"`{name}/`" not in page] == []
