"""A reader's terminal: bash in a checkout, with kubectl and Helm, and what the pages' addresses lead to.

Everything is the real thing, but for two stand-ins in ``bin/``: what only a kubelet can do is played (``kubectl exec`` runs
the command here with the variables of the pod's server, ``kubectl port-forward`` is a listener of the test), and Helm is told
to leave the metrics API out.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import shlex
import sys
from collections.abc import Awaitable, Callable, Iterable, Mapping
from pathlib import Path
from typing import Final, Self

from tests import listeners
from tests.cluster.control_plane import ROOT, Tools, dying_with_us
from tests.docs.commands import Command

Address = tuple[str, int]
Finding = Callable[[], Awaitable[Address]]
_STAND_INS: Final = Path(__file__).with_name("bin")
_LINES_SHOWN: Final = 60
"""Of the output of a page that failed: the command and what it said."""


class PageFailed(AssertionError):
    """A command of the page ended with an error."""


class Door:
    """A port of this machine that leads to wherever the page's address leads a reader; use as an async context manager."""

    def __init__(self, leads_to: Finding) -> None:
        self._leads_to = leads_to

    async def __aenter__(self) -> Self:
        self._server = await asyncio.start_server(self._pass, "127.0.0.1", 0)
        self.port: int = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        await listeners.end(self._server)

    async def _pass(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(ConnectionError):
            there, back = await asyncio.open_connection(*await self._leads_to())
            try:
                await asyncio.gather(_copy(reader, back), _copy(there, writer))
            finally:
                back.close()
        writer.close()


async def _copy(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(1 << 16):
        writer.write(chunk)
        await writer.drain()
    writer.write_eof()


class Terminal:
    """One shell's worth of a page: variables, files and the folder last from its first command to its last."""

    def __init__(self, folder: Path, environment: Mapping[str, str], doors: Mapping[int, Door]) -> None:
        """``environment`` leads to a cluster; ``doors``: by the port that the page names on 127.0.0.1."""
        self.checkout = _checkout(folder / "checkout")
        self._log = folder / "output.log"
        self._doors = doors
        tools, programs = Tools(), Path(sys.executable).parent
        self._environment = {
            **environment,
            "PATH": f"{_STAND_INS}:{programs}:{os.environ['PATH']}",
            "EXEC_PATH": f"{programs}:{os.environ['PATH']}",
            "PYTHON": sys.executable,
            "REAL_KUBECTL": tools["kubectl"],
            "REAL_HELM": tools["helm"],
            **{f"HELM_{name}_HOME": str(folder / "helm") for name in ("CACHE", "CONFIG", "DATA")},
            "TIMBRE_CLUSTER": str(_images(folder / "cluster")),
            "PIP_DRY_RUN": "1",  # whatever a page does, it changes nothing of the environment that the tests run in
        }

    async def run(self, commands: Iterable[Command]) -> str:
        """Runs them one after the other and returns what they said.

        Raises:
            PageFailed: one of them ended with an error; the others were not run.
        """
        script = "\n".join(["set -euo pipefail", *(self._line(command) for command in commands)])
        with self._log.open("wb") as log:
            process = await asyncio.create_subprocess_exec(
                *dying_with_us(["bash", "-c", script]), cwd=self.checkout, env=self._environment,
                stdin=asyncio.subprocess.DEVNULL, stdout=log, stderr=log,
            )  # fmt: skip
            try:
                code = await process.wait()
            finally:
                with contextlib.suppress(ProcessLookupError):
                    process.kill()
        said = self._log.read_text("utf-8", errors="replace")
        if code:
            raise PageFailed("\n".join(said.splitlines()[-_LINES_SHOWN:]))
        return said

    def _line(self, command: Command) -> str:
        announced = f"printf '### %4ds %s\\n' $SECONDS {shlex.quote(f'{command.where}: {command.text}')}"
        if reason := command.reason_not_to_run:
            return f"{announced}\necho {shlex.quote(f'(not run: {reason})')}"
        text = command.text
        for port, door in self._doors.items():
            text = text.replace(f"127.0.0.1:{port}", f"127.0.0.1:{door.port}")
        if command.language == "python":
            text = f"python - <<'PROGRAM'\n{text}PROGRAM"
        return f"{announced}\n{text}"


def _checkout(folder: Path) -> Path:
    """The repository, in which whatever a page writes is thrown away, and with which `make` finds nothing to set up."""
    programs = folder / ".venv"
    programs.mkdir(parents=True)
    (programs / "bin").symlink_to(Path(sys.executable).parent)
    for entry in ROOT.iterdir():
        if entry.name != programs.name:
            (folder / entry.name).symlink_to(entry)
    for part in (".dev", ".server"):  # newer than all that they are made from
        (programs / part).touch()
    return folder


def _images(folder: Path) -> Path:
    """As ``make images`` leaves it; the fake node knows programs by these names."""
    names = folder / "images"
    names.mkdir(parents=True)
    for image in ("server", "operator", "redis", "redis-exporter"):
        (names / f"{image}.name").write_text(f"localhost/timbre-{image}:1\n")
    return folder
