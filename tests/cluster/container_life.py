"""One container as a kubelet keeps it: pulled, started, probed, restarted with a growing pause, stopped in the end."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from typing import Final

from tests.cluster.api import Object
from tests.cluster.container_runs import ProcessRun, Run
from tests.cluster.pod_files import NotConfigured
from tests.cluster.pod_probes import Probing
from tests.cluster.pod_status import ContainerState

NO_REGISTRY: Final = "registry.invalid/"
"""Images of this registry cannot be pulled."""
_LAST_WORDS: Final = 2048
"""Bytes of the log that become the termination message, as kubelet does it."""
_LONGEST_PAUSE: Final = 32
"""Of the pause between restarts, in multiples of the first; kubelet goes from 10 s to 5 min."""


@dataclass
class ContainerLife:
    """Lives until it is stopped."""

    container: Object
    probing: Probing
    begin: Callable[[], Awaitable[Run]]
    """Starts it.  Raises: NotConfigured, OSError."""
    changed: Callable[[], None]
    """Called after every change of ``state``."""
    warn: Callable[[str, str], None]
    """Reason and message of a warning event."""
    grace_seconds: float
    pause_seconds: float
    """Before the second restart; the first comes at once."""
    who: str
    """Pod and container, as kubelet writes them."""
    state: ContainerState = field(init=False)
    run: Run | None = None
    _stopped: asyncio.Event = field(default_factory=asyncio.Event)
    _next_is_oom: bool = False

    def __post_init__(self) -> None:
        self.state = ContainerState(self.container["name"], self.container["image"])

    async def live(self) -> None:
        """Returns once it was stopped."""
        if self.container["image"].startswith(NO_REGISTRY):
            await self._never_pulled()
        crashes = 0
        while not self._stopped.is_set():
            self.run = await self._begin()
            if self.run is None:
                return
            self.state.restart() if crashes else self.state.run()
            self.changed()
            await self._run_to_the_end(self.run)
            crashes += 1
            if crashes > 1 and not self._stopped.is_set():
                await self._back_off(min(2 ** (crashes - 2), _LONGEST_PAUSE))

    async def stop(self, grace_seconds: float) -> None:
        """For good."""
        self._stopped.set()
        if self.run is not None:
            await self.run.stop(grace_seconds)

    def kill(self, *, out_of_memory: bool = False) -> None:
        """SIGKILL, by the kernel where it is out of memory."""
        assert self.run is not None
        self._next_is_oom = out_of_memory
        self.run.kill()

    async def _never_pulled(self) -> None:
        image = self.container["image"]
        words = (
            f'failed to pull and unpack image "{image}": failed to resolve reference "{image}": failed to do request:'
            f" dial tcp: lookup {NO_REGISTRY.rstrip('/')}: no such host"
        )
        self.warn("Failed", f'Failed to pull image "{image}": {words}')
        self.state.wait("ErrImagePull", words)
        self.changed()
        self.state.wait("ImagePullBackOff", f'Back-off pulling image "{image}": ErrImagePull: {words}')
        self.changed()
        await self._stopped.wait()

    async def _begin(self) -> Run | None:
        """Tries until it can be configured; None where it was stopped meanwhile."""
        while not self._stopped.is_set():
            try:
                return await self.begin()
            except NotConfigured as error:
                self._refuse("CreateContainerConfigError", str(error))
            except OSError as error:
                self._refuse("RunContainerError", str(error))
            await self._rest(self.pause_seconds)
        return None

    def _refuse(self, reason: str, message: str) -> None:
        if self.state.waiting != (reason, message):
            self.warn("Failed", f"Error: {message}")
            self.state.wait(reason, message)
            self.changed()

    async def _run_to_the_end(self, run: Run) -> None:
        probes = asyncio.create_task(self._probe(run))
        try:
            code = await run.wait()
        finally:
            probes.cancel()
            await asyncio.gather(probes, return_exceptions=True)
        self.state.end(code, _last_words(run) if code else "", oom=self._next_is_oom)
        self._next_is_oom = False
        self.changed()

    async def _back_off(self, factor: int) -> None:
        words = f"back-off {10 * factor}s restarting failed container={self.container['name']} pod={self.who}"
        self.state.wait("CrashLoopBackOff", words)
        self.changed()
        self.warn("BackOff", words)
        await self._rest(self.pause_seconds * factor)

    async def _rest(self, seconds: float) -> None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopped.wait()

    async def _probe(self, run: Run) -> None:
        if said := await self.probing.started():
            await self._kill_as_unhealthy(run, said)
            return
        self.state.started = True
        self.changed()
        async with asyncio.TaskGroup() as both:
            both.create_task(self.probing.watch("readinessProbe", self._readiness))
            both.create_task(self.probing.watch("livenessProbe", lambda said: self._liveness(run, both, said)))

    def _readiness(self, said: str) -> None:
        self.state.ready = not said
        self.changed()
        if said:
            self.warn("Unhealthy", said)

    def _liveness(self, run: Run, tasks: asyncio.TaskGroup, said: str) -> None:
        if said:
            tasks.create_task(self._kill_as_unhealthy(run, said))

    async def _kill_as_unhealthy(self, run: Run, said: str) -> None:
        self.warn("Unhealthy", said)
        # The end of the run cancels this task; stopping goes on.
        await asyncio.shield(asyncio.ensure_future(run.stop(self.grace_seconds)))


def _last_words(run: Run) -> str:
    """As ``terminationMessagePolicy: FallbackToLogsOnError`` shows them."""
    if not isinstance(run, ProcessRun):
        return ""
    return run.log.read_bytes()[run.begins_at :][-_LAST_WORDS:].decode(errors="replace")
