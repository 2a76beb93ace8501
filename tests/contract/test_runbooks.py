"""Whoever is called finds a page that says what it means, how to look, what it may be and what to do."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests.chart.alert_rules import all_alerts

ROOT = Path(__file__).resolve().parents[2]
FOLDER = ROOT / "docs" / "runbooks"
PAGES = sorted(page for page in FOLDER.glob("*.md") if page.name != "README.md")
SECTIONS = ["What it means", "How to look", "Likely causes, the most likely first", "What to do"]


def test_every_alert_leads_to_a_page_and_every_page_belongs_to_an_alert() -> None:
    pages = {f"https://github.com/timbre-dev/timbre/blob/main/docs/runbooks/{page.name}" for page in PAGES}
    assert {alert["annotations"]["runbook_url"] for alert in all_alerts().values()} == pages
    assert {page.stem for page in PAGES} == set(all_alerts())


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_answers_all_four_questions(page: Path) -> None:
    text = page.read_text("utf-8")
    assert text.startswith(f"# {page.stem}\n")
    assert re.findall(r"^## (.*)$", text, re.MULTILINE) == SECTIONS
    look = text.split("## How to look")[1].split("## ")[0]
    assert re.search(r"^(kubectl|curl) ", look, re.MULTILINE), "a command to begin with"


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_a_page_and_its_alert_say_the_same(page: Path) -> None:
    alert = all_alerts()[page.stem]
    opening = page.read_text("utf-8").split("\n")[2]
    assert opening.startswith(f"**{alert['labels']['severity'].capitalize()}.**")
    minutes = int(alert["for"].removesuffix("m"))
    assert minutes == 0 or f"{minutes} minute" in opening or (minutes == 30 and "half an hour" in opening)


@pytest.mark.parametrize("page", [*PAGES, FOLDER / "README.md"], ids=lambda page: page.stem)
def test_links_lead_somewhere(page: Path) -> None:
    for target in re.findall(r"\]\(([^)#]+)\)", page.read_text("utf-8")):
        assert (page.parent / target).exists(), target


def test_the_index_lists_every_alert_with_its_severity() -> None:
    index = (FOLDER / "README.md").read_text("utf-8")
    rows = dict(re.findall(r"^\| \[(\w+)\]\(\w+\.md\) \| (\w+) \|", index, re.MULTILINE))
    assert rows == {name: alert["labels"]["severity"] for name, alert in all_alerts().items()}


def test_conditions_and_settings_that_pages_name_exist() -> None:
    settings = (ROOT / "docs" / "settings.md").read_text("utf-8")
    for page in PAGES:
        for variable in re.findall(r"TIMBRE_[A-Z_]+", page.read_text("utf-8")):
            assert variable in settings, (page.stem, variable)
