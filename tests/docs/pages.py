"""What stands in our pages: fenced blocks, links, headings, and the targets of ``make`` that they name."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster.control_plane import ROOT

_FENCE: Final = re.compile(r"^(?P<indent> *)```(?P<language>\w*)$")
_LINK: Final = re.compile(r"\[[^\]]*\]\(([^)\s]+)\)|(?:src|srcset|href)=\"([^\"]+)\"")
_HEADING: Final = re.compile(r"^#+ (.+)$", re.MULTILINE)
_IN_TEXT: Final = re.compile(r"`([^`\n]+)`")
_MAKE: Final = re.compile(r"(?:^|[\s;&|])make((?: +(?:-\w+|[A-Z_]+=\S+|\"[^\"]*\"|[a-z][a-z0-9-]*))+)")
_GENERATED: Final = {"THIRD_PARTY_LICENSES.md"}
"""Other people's words."""


@dataclass(frozen=True)
class Block:
    """A fenced block."""

    page: Path
    line: int
    """Of its first line, as editors count."""
    language: str
    text: str


def pages() -> list[Path]:
    """Every page of the repository that is ours, those not committed yet included."""
    command = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "*.md"]
    listed = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [ROOT / name for name in sorted(listed.splitlines()) if name not in _GENERATED and (ROOT / name).exists()]


def page_name(page: Path) -> str:
    """As a reader knows it."""
    return str(page.relative_to(ROOT))


def blocks(page: Path) -> Iterator[Block]:
    """In their order."""
    lines = page.read_text("utf-8").splitlines()
    number = 0
    while number < len(lines):
        fence = _FENCE.match(lines[number])
        if fence is None:
            number += 1
            continue
        end = lines.index(f"{fence['indent']}```", number + 1)
        inside = [line.removeprefix(fence["indent"]) for line in lines[number + 1 : end]]
        yield Block(page, number + 2, fence["language"], "".join(f"{line}\n" for line in inside))
        number = end + 1


def prose(page: Path) -> str:
    """The page without its blocks."""
    text, fenced = [], False
    for line in page.read_text("utf-8").splitlines():
        if line.lstrip().startswith("```"):
            fenced = not fenced
        elif not fenced:
            text.append(line)
    return "\n".join(text)


def links(page: Path) -> list[str]:
    """Targets of links and pictures, as they are written."""
    return [found[1] or found[2] for found in _LINK.finditer(re.sub(_IN_TEXT, "", prose(page)))]


def anchors(page: Path) -> set[str]:
    """What a link may name behind its ``#``, as GitHub makes it of headings."""
    return {
        re.sub(r"[^\w\- ]", "", heading.strip().lower()).replace(" ", "-") for heading in _HEADING.findall(prose(page))
    }


def make_targets(page: Path) -> set[str]:
    """Targets of ``make`` that a reader is told to run."""
    said = [found[1] for found in _IN_TEXT.finditer(prose(page))]
    said += [
        line.partition("#")[0] for block in blocks(page) if block.language == "sh" for line in block.text.splitlines()
    ]
    words = " ".join(found[1] for text in said for found in _MAKE.finditer(text)).split()
    return {word for word in words if re.fullmatch(r"[a-z][a-z0-9-]*", word)}
