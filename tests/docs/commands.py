"""Which commands does a page tell a reader to run, in which order, and which of them can no test run, and why?"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.docs.pages import blocks, page_name

NOT_RUN: Final = {
    r"make demo\b": "a Kubernetes of its own, as root; `make demo` is run by hand, and e2e/ tests what it does",
    r"make test\b": "this is one of its tests",
    r"make cluster( |$)": "a Kubernetes of its own, as root; e2e/test_machine.py starts and removes it",
    r"make images\b": "minutes of builds, and packages of the machine; e2e/test_images.py looks at what comes of it",
    r"scripts/images\.sh --push\b": "there is no registry",
    r"export (IMAGE_REPOSITORY|KUBECONFIG)=": "names what only a reader has",
    r"kubectl (-n \S+ )?logs\b": "no kubelet keeps logs here; e2e/ reads them",
    r"kubectl describe scaledobject\b": "KEDA is not installed here",
    r"kubectl scale deployment NAME\b": "it is against an autoscaler that was stopped by hand",
    r"kubectl scale vs NAME\b": "the same, for class None; the first hour scales one",
}
"""Beginnings of commands that no page's test runs, with the reason.  Everything else is run as it stands."""
_LOOK: Final = re.compile(r"`((?:kubectl|helm (?:get|list)) [^`]+)`")


@dataclass(frozen=True)
class Command:
    """One command, over as many lines as it takes."""

    page: Path
    line: int
    language: str
    text: str

    @property
    def where(self) -> str:
        """As editors jump to it."""
        return f"{page_name(self.page)}:{self.line}"

    @property
    def reason_not_to_run(self) -> str:
        """Empty where it is run."""
        return next((reason for begins, reason in NOT_RUN.items() if re.match(begins, self.text)), "")


def commands(page: Path) -> Iterator[Command]:
    """In the order of the page; a Python program is one."""
    for block in blocks(page):
        if block.language == "python":
            yield Command(page, block.line, "python", block.text)
        elif block.language == "sh":
            yield from _shell(page, block.line, block.text)


def looks(page: Path) -> Iterator[Command]:
    """Commands in the rows of its tables, which tell a reader where to look."""
    for number, line in enumerate(page.read_text("utf-8").splitlines(), 1):
        if line.startswith("|"):
            for text in _LOOK.findall(line):
                yield Command(page, number, "sh", text)


def _shell(page: Path, first_line: int, text: str) -> Iterator[Command]:
    pending: list[str] = []
    for number, line in enumerate(text.splitlines(), first_line):
        if not pending and (not line.strip() or line.startswith("#")):
            continue
        pending.append(line)
        whole = "\n".join(pending)
        if not line.endswith("\\") and _is_complete(whole):
            yield Command(page, number - len(pending) + 1, "sh", whole)
            pending = []
    assert pending == [], (page, pending)


def _is_complete(text: str) -> bool:
    """Whether bash waits for no further line: of a string, a pipe, a here document."""
    checked = subprocess.run(["bash", "-n"], input=f"{text}\n", capture_output=True, text=True, check=False)
    return checked.returncode == 0 and not checked.stderr
