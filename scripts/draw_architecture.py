"""Draws the picture of the README, once for light pages and once for dark ones.

Usage: python -m scripts.draw_architecture [--check]    (--check: exit code 1 if a drawing is not the one of this script)
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from html import escape
from pathlib import Path
from typing import Final

FOLDER: Final = Path(__file__).resolve().parents[1] / "docs" / "images"
WIDTH, HEIGHT = 1000, 590
THEMES: Final[Mapping[str, Mapping[str, str]]] = {
    "architecture.svg": {"ink": "#1f2328", "faint": "#59636e", "line": "#818b98", "box": "#f6f8fa", "part": "#ffffff",
                         "accent": "#0969da"},
    "architecture-dark.svg": {"ink": "#f0f6fc", "faint": "#9198a1", "line": "#656c76", "box": "#151b23",
                              "part": "#0d1117", "accent": "#4493f8"},
}  # fmt: skip
"""Colours of GitHub's own pages, so that the drawing looks as if it belonged there."""
_FONT: Final = "-apple-system, 'Segoe UI', 'Noto Sans', 'DejaVu Sans', Helvetica, Arial, sans-serif"


@dataclass(frozen=True)
class Box:
    """A part of the picture: a name, and what is in it or what it does."""

    x: int
    y: int
    width: int
    height: int
    name: str
    lines: Sequence[str] = ()
    kind: str = "box"
    """The fill: ``box``, or ``part`` of one."""

    def drawn(self) -> Iterator[str]:
        yield (
            f'<rect class="{self.kind}" x="{self.x}" y="{self.y}" width="{self.width}" height="{self.height}" rx="6"/>'
        )
        yield _text(self.x + 14, self.y + 25, self.name, "name")
        for number, line in enumerate(self.lines):
            yield _text(self.x + 14, self.y + 47 + 19 * number, line, "small")


@dataclass(frozen=True)
class Arrow:
    """From point to point, with a word beside it."""

    points: Sequence[tuple[int, int]]
    word: str = ""
    at: tuple[int, int] = (0, 0)
    """Where the word stands."""
    both: bool = False
    anchor: str = "middle"

    def drawn(self) -> Iterator[str]:
        path = " L".join(f"{x} {y}" for x, y in self.points)
        begin = ' marker-start="url(#tip)"' if self.both else ""
        yield f'<path class="arrow" d="M{path}"{begin} marker-end="url(#tip)"/>'
        if self.word:
            yield _text(*self.at, self.word, "word", self.anchor)


def _text(x: int, y: int, text: str, kind: str, anchor: str = "start") -> str:
    placed = "" if anchor == "start" else f' text-anchor="{anchor}"'
    return f'<text class="{kind}" x="{x}" y="{y}"{placed}>{escape(text)}</text>'


_PARTS: Final = (
    Box(40, 30, 170, 84, "you", ("helm install", "kubectl apply")),
    Box(350, 30, 300, 84, "timbre-operator", ("reconciles Deployment, Redis, HPA", "scrapes pods, reports status")),
    Box(800, 30, 160, 84, "HPA or KEDA", ("queue depth", "engine seconds")),
    Box(40, 262, 170, 84, "clients", ("OpenAI's API", "speech and voices")),
    Box(294, 194, 440, 252, ""),  # pods behind the first one
    Box(286, 202, 440, 252, ""),
    Box(278, 210, 440, 252, "Deployment: pods of timbre-server"),
    Box(294, 252, 118, 84, "HTTP", ("admission", "429 in time"), "part"),
    Box(430, 252, 136, 84, "batcher", ("by cost, the first", "sentences first"), "part"),
    Box(584, 252, 118, 84, "engine", ("one thread", "GPU or CPU"), "part"),
    Box(294, 362, 190, 84, "result cache", ("finished speech", "one synthesis for all"), "part"),
    Box(512, 362, 190, 84, "voice cache", ("device: GPU memory", "host: the pod's memory"), "part"),
    Box(800, 242, 160, 156, "Redis", ("voices, consents", "log of changes", "features", "finished speech", "leases")),
    Box(278, 510, 440, 60, "Prometheus and Grafana", ("metrics, alerts with runbooks, dashboards",)),
)
_ARROWS: Final = (
    Arrow([(210, 72), (344, 72)], "VoiceService", (277, 62)),
    Arrow([(650, 72), (794, 72)], "metrics API", (722, 62)),
    Arrow([(460, 114), (460, 188)], "makes and repairs", (450, 158), anchor="end"),
    Arrow([(560, 188), (560, 120)], "load of each pod", (572, 158), anchor="start"),
    Arrow([(880, 114), (880, 170), (694, 170), (694, 188)], "number of pods", (788, 160)),
    Arrow([(210, 304), (288, 304)], "HTTP", (244, 294)),
    Arrow([(412, 294), (425, 294)]),
    Arrow([(566, 294), (579, 294)]),
    Arrow([(740, 320), (794, 320)], both=True),
    Arrow([(498, 510), (498, 468)], "scrape", (508, 493), anchor="start"),
)


_TIP: Final = (
    '<defs><marker id="tip" viewBox="0 0 8 8" refX="7" refY="4" markerWidth="8" markerHeight="8"'
    ' orient="auto-start-reverse"><path class="tip" d="M0 0 L8 4 L0 8 z"/></marker></defs>'
)


def drawing(colours: Mapping[str, str]) -> str:
    """The SVG in these colours."""
    style = (
        f"text{{font-family:{_FONT};fill:{colours['ink']}}}.name{{font-size:15px;font-weight:600}}"
        f".small{{font-size:13px;fill:{colours['faint']}}}.word{{font-size:12px;fill:{colours['accent']}}}"
        f".box{{fill:{colours['box']};stroke:{colours['line']}}}.part{{fill:{colours['part']};stroke:{colours['line']}}}"
        f".arrow{{fill:none;stroke:{colours['accent']};stroke-width:1.5}}.tip{{fill:{colours['accent']}}}"
    )
    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" role="img" aria-labelledby="title">',
        "<!-- Made by scripts/draw_architecture.py -->",
        '<title id="title">You apply a VoiceService; the operator makes pods, a Redis and an autoscaler of it</title>',
        f"<style>{style}</style>",
        _TIP,
        *(line for box in _PARTS for line in box.drawn()),
        *(line for arrow in _ARROWS for line in arrow.drawn()),
        "</svg>",
    ]
    return "\n".join(parts) + "\n"


def main(argv: Sequence[str]) -> int:
    """Exit code."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--check", action="store_true", help="write nothing; fail if a drawing is not current")
    check = parser.parse_args(argv).check
    other = [name for name, colours in THEMES.items() if not _is_current(FOLDER / name, drawing(colours))]
    if check:
        print("".join(f"{name} is not current: run python -m scripts.draw_architecture\n" for name in other), end="")
        return 1 if other else 0
    for name in other:
        (FOLDER / name).write_text(drawing(THEMES[name]), "utf-8")
    return 0


def _is_current(file: Path, wanted: str) -> bool:
    return file.exists() and file.read_text("utf-8") == wanted


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
