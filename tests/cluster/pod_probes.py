"""Does a container pass its probes?  The probes are those of its spec, asked more often than a kubelet would."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import aiohttp

from tests.cluster.api import Object


@dataclass(frozen=True)
class Probing:
    """One container's probes."""

    container: Object
    address: str
    hurry: float
    """By how much periods are shorter than written; budgets of time are as written."""
    translated: Callable[[Sequence[str]], list[str]]
    """The command of an exec probe, as this machine runs it."""

    async def started(self) -> str:
        """Returns once the start-up probe passes; else what it said, once its budget is used up."""
        probe = self.container.get("startupProbe")
        if probe is None:
            return ""
        clock = asyncio.get_running_loop().time
        give_up = clock() + probe.get("failureThreshold", 3) * probe.get("periodSeconds", 10)
        while said := await self._ask(probe):
            if clock() >= give_up:
                return f"Startup probe failed: {said}"
            await self._pause(probe)
        return ""

    async def watch(self, kind: str, told: Callable[[str], Any]) -> None:
        """Asks for ever; tells every change, after as many answers as the spec wants: what is wrong, or nothing."""
        probe = self.container.get(kind)
        if probe is None:
            told("")
            return
        word = kind.removesuffix("Probe").capitalize()
        last: bool | None = None
        failures = 0
        while True:
            said = await self._ask(probe)
            failures = failures + 1 if said else 0
            passes = None if 0 < failures < probe.get("failureThreshold", 3) else not said
            if passes is not None and passes != last:
                last = passes
                told(f"{word} probe failed: {said}" if said else "")
            await self._pause(probe)

    async def _pause(self, probe: Object) -> None:
        await asyncio.sleep(probe.get("periodSeconds", 10) / self.hurry)

    async def _ask(self, probe: Object) -> str:
        """Empty where it passes."""
        try:
            async with asyncio.timeout(probe.get("timeoutSeconds", 1)):
                if "exec" in probe:
                    return await self._run(probe["exec"]["command"])
                if "httpGet" in probe:
                    return await self._get(probe["httpGet"])
                return await self._connect(probe["tcpSocket"])
        except TimeoutError:
            return "context deadline exceeded"
        except (OSError, aiohttp.ClientError) as error:
            return str(error)

    async def _run(self, command: Sequence[str]) -> str:
        process = await asyncio.create_subprocess_exec(
            *self.translated(command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
        )
        try:
            output, _ = await process.communicate()
        except asyncio.CancelledError:
            with contextlib.suppress(ProcessLookupError):
                process.kill()
            await process.wait()
            raise
        return "" if process.returncode == 0 else output.decode(errors="replace").strip() or "command failed"

    async def _get(self, request: Object) -> str:
        scheme = request.get("scheme", "HTTP").lower()
        url = f"{scheme}://{self.address}:{self._port(request['port'])}{request.get('path', '/')}"
        # A connection for each question, as kubelet does; certificates are not checked by it either.
        async with aiohttp.ClientSession() as session, session.get(url, ssl=False, allow_redirects=False) as answer:
            return "" if answer.status < 400 else f"HTTP probe failed with statuscode: {answer.status}"

    async def _connect(self, request: Object) -> str:
        _, writer = await asyncio.open_connection(self.address, self._port(request["port"]))
        writer.close()
        return ""

    def _port(self, port: int | str) -> int:
        named = {item.get("name"): item["containerPort"] for item in self.container.get("ports") or ()}
        return int(named[port]) if isinstance(port, str) else port
