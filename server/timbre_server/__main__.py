"""The server's command line: start, say what can be set, or move voices in and out."""

from __future__ import annotations

import argparse
import faulthandler
import os
import sys
import textwrap
from collections.abc import Sequence
from importlib.metadata import version
from typing import TYPE_CHECKING, Final

from timbre_contract.exits import EXIT_CONFIGURATION
from timbre_server.errors import ConfigurationError

if TYPE_CHECKING:
    from pydantic.fields import FieldInfo

BLAS_THREADS: Final = {"OPENBLAS_NUM_THREADS": "1"}
"""numpy's OpenBLAS reads it when it is loaded.  With threads of its own, whatever is forked while the engine multiplies
matrices (a decoder of uploads) takes them away, and the engine waits for them forever: OpenBLAS ends its threads at a
fork (``blas_thread_shutdown_``), and uvloop starts processes with one.  One thread owns the engine anyway."""


def main(argv: Sequence[str] | None = None) -> int:
    """Runs the server until a signal ends it, or the command, and returns the exit code."""
    words = list(sys.argv[1:] if argv is None else argv)
    voices = words[1:] if words[:1] == ["voices"] else None
    arguments = _parser().parse_args(words if voices is None else [])
    os.environ.update(BLAS_THREADS)
    faulthandler.enable()  # a crash in native code leaves the stack of every thread on standard error
    try:
        from timbre_server import settings  # noqa: PLC0415 - --version answers without pydantic

        if arguments.help:
            print(_help(list(settings.variables())))  # noqa: T201 - this is the command's output
            return 0
        if voices is not None:
            from timbre_server.app import voices_command  # noqa: PLC0415 - the server has no use for it
            from timbre_server.telemetry import log  # noqa: PLC0415 - the same

            log.configure("error", sys.stderr)
            return voices_command.main(voices, settings.settings_from_environment)
        chosen = settings.settings_from_environment()
        from timbre_server import app  # noqa: PLC0415 - a wrong setting is told before anything heavy is imported

        return app.serve(chosen)
    except ConfigurationError as error:
        print(f"timbre-server: {error.message}", file=sys.stderr)  # noqa: T201 - this is the command's output
        return EXIT_CONFIGURATION


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="timbre-server", add_help=False, description=__doc__)
    parser.add_argument("-h", "--help", action="store_true")
    parser.add_argument("--version", action="version", version=f"timbre-server {version('timbre')}")
    return parser


def _help(variables: Sequence[tuple[str, FieldInfo]]) -> str:
    lines = [
        "usage: timbre-server [--help] [--version]",
        "       timbre-server voices import|export|list ... (voices --help says more)",
        "",
        "Serves voice cloning over OpenAI's speech API. It is configured by environment variables only:",
        "",
    ]
    for name, field in variables:
        default = field.get_default(call_default_factory=True)
        lines.append(f"  {name}={'' if default is None else default}")
        lines += textwrap.wrap(field.description or "", 100, initial_indent=" " * 6, subsequent_indent=" " * 6)
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
