"""The operator's command line: which version is this?"""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from importlib.metadata import version


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the command line and returns its exit code."""
    parser = argparse.ArgumentParser(
        prog="timbre-operator",
        description="Reconciles VoiceService objects (this release: the package and its law only).",
    )
    parser.add_argument("--version", action="version", version=f"timbre-operator {version('timbre')}")
    parser.parse_args(argv)
    parser.print_help()
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
