"""Which commands do the runbooks tell people to run?  From their fenced blocks, with the alert's labels filled in."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parents[2] / "docs" / "runbooks"
PAGES: Final = sorted(page for page in FOLDER.glob("*.md") if page.name != "README.md")
POD: Final = "POD"
"""Stands for the label ``pod`` of an alert."""


@dataclass(frozen=True)
class Command:
    """One command of kubectl, and what its output is searched for."""

    words: tuple[str, ...]
    """Without ``kubectl``."""
    searched: tuple[str, ...] = ()
    """Patterns of the ``grep`` behind it; each of them finds something."""

    def __str__(self) -> str:
        return " ".join(self.words)

    @property
    def verb(self) -> str:
        """As ``get``."""
        return next(word for word in self._without_options() if word)

    @property
    def objects(self) -> tuple[str, ...]:
        """Kinds and names."""
        return tuple(self._without_options())[1:]

    def option(self, name: str) -> str:
        """Its value, if it is written as a word of its own."""
        return self.words[self.words.index(name) + 1] if name in self.words else ""

    def _without_options(self) -> Iterator[str]:
        words = iter(self.words)
        for word in words:
            if word in {"-n", "-l", "-c", "-o", "--field-selector"}:
                next(words)
            elif not word.startswith("-"):
                yield word


def commands() -> list[Command]:
    """All of kubectl, each once."""
    return list(dict.fromkeys(command for page in PAGES for command in _commands(page.read_text("utf-8"))))


def _commands(text: str) -> Iterator[Command]:
    for block in re.findall(r"^```sh\n(.*?)^```", text, re.MULTILINE | re.DOTALL):
        variables = dict(re.findall(r"\b(NS|NAME)=(\S+)", block))
        for line in block.replace("\\\n", " ").splitlines():
            words = shlex.split(line, comments=True)
            if words and words[0] == "kubectl":
                yield _command([_filled_in(word, variables) for word in words[1:]])


def _command(words: list[str]) -> Command:
    ours = words[: next((at for at, word in enumerate(words) if word in {"|", "&"}), len(words))]
    grep = words[words.index("grep") + 1 :] if "grep" in words else []
    patterns = [grep[at + 1] for at, word in enumerate(grep) if word == "-e"]
    return Command(tuple(ours), tuple(patterns or [word for word in grep if not word.startswith("-")]))


def _filled_in(word: str, variables: dict[str, str]) -> str:
    for name, value in variables.items():
        word = word.replace(f"${name}", value)
    return word
