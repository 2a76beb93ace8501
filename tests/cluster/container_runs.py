"""What runs in a container: a process of this machine, a few answers inside of the test, or nothing at all."""

from __future__ import annotations

import asyncio
import contextlib
import signal
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol, Self

from tests import listeners
from tests.cluster.control_plane import dying_with_us
from tests.cluster.pod_programs import Program
from timbre_contract import api

_KILLED: Final = 128 + signal.SIGKILL
_TERMINATED: Final = 0
"""Exit code of what ends by itself when it is asked to."""


class Run(Protocol):
    """One run of a container, from its start to its end."""

    async def wait(self) -> int:
        """The exit code, once it ends."""
        ...

    async def stop(self, grace_seconds: float) -> None:
        """Asks it to end, and ends it when the grace period is over; ended when this returns."""
        ...

    def kill(self) -> None:
        """Ends it now."""
        ...


@dataclass
class ProcessRun:
    """A real program; what it writes goes to a file."""

    process: asyncio.subprocess.Process
    log: Path
    begins_at: int
    """Where this run begins in the log, in bytes."""

    @classmethod
    async def begin(cls, program: Program, log: Path, folder: Path) -> Self:
        """Raises: OSError: it cannot be started."""
        with log.open("ab") as output:
            begins_at = output.tell()
            process = await asyncio.create_subprocess_exec(
                *dying_with_us(program.command),
                env=dict(program.environment), cwd=folder, stdin=asyncio.subprocess.DEVNULL, stdout=output, stderr=output,
            )  # fmt: skip
        return cls(process, log, begins_at)

    async def wait(self) -> int:
        code = await self.process.wait()
        return code if code >= 0 else 128 - code

    async def stop(self, grace_seconds: float) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.terminate()
        try:
            async with asyncio.timeout(grace_seconds):
                await self.process.wait()
        except TimeoutError:
            self.kill()
            await self.process.wait()

    def kill(self) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.process.kill()


@dataclass
class IdleRun:
    """Runs and does nothing: what stands in for it is not known."""

    _end: asyncio.Future[int] = field(default_factory=lambda: asyncio.get_running_loop().create_future())

    async def wait(self) -> int:
        return await asyncio.shield(self._end)

    async def stop(self, grace_seconds: float) -> None:
        del grace_seconds
        self._finish(_TERMINATED)

    def kill(self) -> None:
        self._finish(_KILLED)

    def _finish(self, code: int) -> None:
        if not self._end.done():
            self._end.set_result(code)


@dataclass
class LightRun(IdleRun):
    """A server's pod that speaks nothing: its admin port answers what a test says, at once, in the test's process."""

    answers: dict[str, tuple[int, str]] = field(default_factory=dict)
    """Status and body by path; whoever changes them changes what is answered from now on."""
    _listeners: list[asyncio.Server] = field(default_factory=list)
    _connections: set[asyncio.StreamWriter] = field(default_factory=set)

    @classmethod
    async def begin(cls, address: str) -> Self:
        """Ready, without load, with nothing in its cache."""
        run = cls()
        run.answers |= {api.LIVE_PATH: (200, ""), api.READY_PATH: (200, ""), api.CACHE_PATH: (200, '{"hottest": []}')}
        run.report({})
        async with contextlib.AsyncExitStack() as begun:
            for port in (api.ADMIN_PORT, api.API_PORT):
                run._listeners.append(await listeners.begin(run._answer, address, port))
                begun.push_async_callback(listeners.end, run._listeners[-1])
            begun.pop_all()
        return run

    def report(self, series: Mapping[str, float]) -> None:
        """What ``/metrics`` says: values by series, as ``timbre_pending_requests`` or ``x_total{kind="y"}``."""
        self.answers[api.METRICS_PATH] = (200, "".join(f"{name} {value}\n" for name, value in series.items()))

    async def wait(self) -> int:
        code = await super().wait()
        while self._listeners:
            await listeners.end(self._listeners.pop())
        for connection in self._connections:
            connection.transport.abort()
        return code

    async def _answer(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request, one answer; bodies of requests are not read."""
        self._connections.add(writer)
        try:
            with contextlib.suppress(ConnectionError, asyncio.IncompleteReadError):
                head = b"" if self._end.done() else await reader.readuntil(b"\r\n\r\n")
                status, body = self.answers.get(head.split(b" ")[1].decode() if head else "", (404, ""))
                content = body.encode()
                writer.write(
                    f"HTTP/1.1 {status} Said\r\nContent-Type: text/plain\r\nContent-Length: {len(content)}\r\n"
                    "Connection: close\r\n\r\n".encode()
                    + content
                )
                await writer.drain()
        finally:
            self._connections.discard(writer)
            writer.close()
