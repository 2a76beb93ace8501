"""A page leads nowhere that is not there: its links, its ``make`` targets, its files and its YAML hold."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest
import yaml

from scripts import draw_architecture
from tests.cluster.control_plane import ROOT
from tests.docs.pages import anchors, blocks, links, make_targets, page_name, pages

_LANGUAGES = {"", "sh", "python", "yaml", "json", "promql"}
PAGES = pages()


def test_the_pages_are_found() -> None:
    assert {"README.md", "docs/getting-started.md", "docs/operations.md", "docs/troubleshooting.md"} <= {
        page_name(page) for page in PAGES
    }


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_links_lead_to_a_page_and_to_a_heading_of_it(page: Path) -> None:
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        led_to = (page.parent / path).resolve() if path else page
        assert led_to.exists(), target
        assert led_to.is_relative_to(ROOT), target
        assert not anchor or anchor in anchors(led_to), target


def test_every_target_of_make_exists() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    there = set(re.findall(r"^([a-z0-9-]+):", makefile, re.MULTILINE))
    named = {target: page_name(page) for page in PAGES for target in make_targets(page)}
    assert "demo" in named
    assert {target: page for target, page in named.items() if target not in there} == {}


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_blocks_are_of_a_language_that_somebody_checks(page: Path) -> None:
    """What is no ``sh`` is run by nobody, so commands may not hide in a block without a language."""
    for block in blocks(page):
        assert block.language in _LANGUAGES, block.line
        if block.language == "sh":
            checked = subprocess.run(["bash", "-n"], input=block.text, capture_output=True, text=True, check=False)
            assert checked.returncode == 0, (block.line, checked.stderr)
        if block.language == "yaml":
            assert list(yaml.safe_load_all(block.text)), block.line


@pytest.mark.parametrize("page", PAGES, ids=page_name)
def test_commands_that_wait_for_a_service_wait_for_its_redis_too(page: Path) -> None:
    """Ready is a pod that speaks: without Redis it enrols nobody, and what comes next on a page may be an enrolment."""
    told = "".join(block.text for block in blocks(page) if block.language == "sh")
    waited = set(re.findall(r"kubectl wait --for=condition=(Ready|RedisReady) voiceservice/", told))
    assert waited in (set(), {"Ready", "RedisReady"})


def test_the_readme_is_short_enough_to_be_read() -> None:
    assert (ROOT / "README.md").read_text("utf-8").count("\n") <= 250


def test_the_drawings_are_those_of_their_script() -> None:
    assert draw_architecture.main(["--check"]) == 0


def test_the_readme_shows_both_drawings() -> None:
    """The one of the reader's colours; without a choice the light one."""
    shown = {Path(target).name for target in links(ROOT / "README.md") if target.endswith(".svg")}
    assert shown == set(draw_architecture.THEMES)
