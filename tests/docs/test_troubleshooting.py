"""Whoever has a word finds its row: every reason of a VoiceService, and every code of the API."""

from __future__ import annotations

import re

from tests.cluster.control_plane import ROOT
from timbre_server.api.errors import ANSWERS

CONDITIONS, PAGE = ((ROOT / "docs" / name).read_text("utf-8") for name in ("conditions.md", "troubleshooting.md"))
_REASON = r"`([A-Z][A-Za-z.]+)`"
"""The dots are those of ``Apply...``: the cluster's own reason follows."""


def _reasons(section: str) -> set[str]:
    """In the first cells of a section's tables."""
    return {
        word
        for line in section.splitlines()
        if line.startswith("| `")
        for word in re.findall(_REASON, line.split("|")[1])
    }


def test_every_reason_has_a_row() -> None:
    """`docs/conditions.md` lists those of the code; a test of its own compares."""
    reasons = _reasons(CONDITIONS) - {"Progressing", "RedisReady", "CacheWarm", "AutoscalingActive", "Ready"}
    assert {"Serving", "ImagePullFailed", "NameTaken", "Full", "KindMissing", "Apply..."} <= reasons
    assert sorted(reasons - _reasons(PAGE)) == []


def test_no_row_is_about_a_reason_that_is_never_given() -> None:
    section = PAGE.split("## Reasons")[1].split("## Errors of requests")[0]
    assert sorted(_reasons(section) - _reasons(CONDITIONS)) == []


def test_every_error_of_the_api_has_a_row_with_its_status() -> None:
    rows = [line.split("|") for line in PAGE.split("## Errors of requests")[1].splitlines() if re.match(r"\| \d", line)]
    told = {
        (int(status), code)
        for row in rows
        for status in re.findall(r"\d+", row[1])
        for code in re.findall(r"`(\w+)`", row[2])
    }
    assert sorted({(answer.status, kind.code) for kind, answer in ANSWERS.items()} - told) == []
    assert sorted({code for _, code in told} - {kind.code for kind in ANSWERS}) == []
