"""One pod on the fake node, from its binding to its end."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from tests.cluster.api import Api, ApiError, Object
from tests.cluster.certificates import kubeconfig
from tests.cluster.container_life import ContainerLife
from tests.cluster.container_runs import IdleRun, LightRun, ProcessRun, Run
from tests.cluster.pod_files import NotMounted, PodFiles
from tests.cluster.pod_probes import Probing
from tests.cluster.pod_programs import Place, exec_command, program_of
from tests.cluster.pod_status import PodState

DNS: Final = Path(__file__).with_name("cluster_dns")
LIGHT_ANNOTATION: Final = "test.timbre.dev/light"
"""On a pod: its server answers on the admin port only, and what the test says."""
_TOKEN_FOLDER: Final = "/var/run/secrets/kubernetes.io/serviceaccount"  # where the API server has it mounted
_LIGHT_PROGRAM: Final = "timbre-server"


@dataclass(frozen=True)
class Surroundings:
    """What all pods of a node share."""

    api: Api
    folder: Path
    """For files and logs of pods."""
    names: Path
    """Where the addresses of Services are written down."""
    images: Mapping[str, Sequence[str]]
    light: Callable[[], bool]
    hurry: float
    pause_seconds: float
    warn: Callable[[Object, str, str], None]


class PodLife:
    """Runs as a task of the node."""

    def __init__(self, pod: Object, address: str, around: Surroundings) -> None:
        self.name: str = pod["metadata"]["name"]
        self.namespace: str = pod["metadata"]["namespace"]
        self.uid: str = pod["metadata"]["uid"]
        self.address = address
        self.labels = {name.rpartition("/")[2]: value for name, value in (pod["metadata"].get("labels") or {}).items()}
        self.folder = around.folder / f"{self.name}-{self.uid[:8]}"
        self._pod, self._around = pod, around
        self._changed = asyncio.Event()
        self._files = PodFiles(around.api, pod, self.folder, address)
        self.containers = {spec["name"]: self._container(spec) for spec in pod["spec"]["containers"]}
        self._state = PodState(address, [life.state for life in self.containers.values()])
        self._mounting: asyncio.Task[None] | None = None

    @property
    def light(self) -> LightRun:
        """The answers of a light pod.  Raises: AssertionError: it is none, or not started yet."""
        (found,) = [life.run for life in self.containers.values() if isinstance(life.run, LightRun)]
        return found

    def log(self, container: str = "server") -> str:
        """All that a container wrote, in all of its runs."""
        return self._log(container).read_text("utf-8", errors="replace")

    async def live(self) -> None:
        """Returns once it was stopped, or its object is gone."""
        reporter = asyncio.create_task(self._report())
        self._changed.set()
        self._mounting = asyncio.create_task(self._mount())
        try:
            await asyncio.wait([self._mounting])
            if not self._mounting.cancelled():
                self._mounting.result()
                await asyncio.gather(*(life.live() for life in self.containers.values()))
        finally:
            self._mounting.cancel()
            reporter.cancel()
            runs = [life.run for life in self.containers.values() if life.run is not None]
            for run in runs:
                run.kill()
            await asyncio.gather(reporter, *(run.wait() for run in runs), return_exceptions=True)

    async def stop(self, grace_seconds: float) -> None:
        """SIGTERM to all, SIGKILL after the grace period, then the object goes."""
        if self._mounting is not None:
            self._mounting.cancel()
        await asyncio.gather(*(life.stop(grace_seconds) for life in self.containers.values()))
        await self._around.api.delete(self._pod, gracePeriodSeconds=0)

    def _log(self, container: str) -> Path:
        return self.folder / f"{container}.log"

    def _container(self, spec: Object) -> ContainerLife:
        around = self._around
        return ContainerLife(
            spec,
            Probing(
                spec, self.address, around.hurry,
                lambda command: exec_command(command, self._files.paths(spec), self.address),
            ),
            lambda: self._begin(spec),
            self._changed.set,
            lambda reason, message: around.warn(self._pod, reason, message),
            self._pod["spec"].get("terminationGracePeriodSeconds", 30),
            around.pause_seconds,
            f"{self.name}_{self.namespace}({self.uid})",
        )  # fmt: skip

    async def _mount(self) -> None:
        self.folder.mkdir(parents=True)
        last = ""
        while True:
            try:
                return await self._files.set_up()
            except NotMounted as error:
                if str(error) != last:
                    self._around.warn(self._pod, "FailedMount", str(error))
                last = str(error)
            await asyncio.sleep(self._around.pause_seconds)

    async def _begin(self, spec: Object) -> Run:
        around = self._around
        extra = {"PYTHONPATH": str(DNS), "CLUSTER_DNS": str(around.names), **await self._access(spec)}
        place = Place(around.api, self.address, around.images, extra)
        program = await program_of(spec, await self._files.variables(spec), self._files.paths(spec), place)
        if program is None:
            return IdleRun()
        if self._is_light() and Path(program.command[0]).name == _LIGHT_PROGRAM:
            return await LightRun.begin(self.address)
        return await ProcessRun.begin(program, self._log(spec["name"]), self.folder)

    def _is_light(self) -> bool:
        return self._around.light() or LIGHT_ANNOTATION in (self._pod["metadata"].get("annotations") or {})

    async def _access(self, spec: Object) -> dict[str, str]:
        """A pod with a token finds the API server; here by a kubeconfig, for there is no place for files in /var/run."""
        mounts = [mount["mountPath"] for mount in spec.get("volumeMounts") or ()]
        if _TOKEN_FOLDER not in mounts:
            return {}
        file = self.folder / "kubeconfig"
        api = self._around.api
        file.write_text(
            kubeconfig(api.server, api.authority_pem, token=await self._files.token(), namespace=self.namespace)
        )
        return {"KUBECONFIG": str(file), "POD_NAMESPACE": self.namespace}

    async def _report(self) -> None:
        """Every change of a container's state becomes the pod's status."""
        while True:
            await self._changed.wait()
            self._changed.clear()
            try:
                pod = await self._around.api.fetch("v1/Pod", self.namespace, self.name)
                status = self._state.to_status(pod["status"].get("conditions") or [])
                await self._around.api.patch(self._pod, {"status": status}, "status")
            except ApiError as error:
                if error.status not in (404, 409):  # gone, or another pod of this name
                    raise
                return
