"""A fake node: what scheduler, kubelet, kube-proxy and a storage driver do for the pods of one namespace.

It binds pods, gives each an address of the loopback range, and runs what their specs say as real programs of this machine:
``timbre-server`` with the stub engine, ``redis-server``, ``timbre-operator``; other images do nothing and are ready.
Probes, statuses, restarts, grace periods, volumes and Services are as the API describes them.  There is no isolation: no
container, no memory limit, no network policy.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Coroutine, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Final, Self

import aiohttp

from tests.cluster.api import PATIENCE_SECONDS, Api, ApiError, Event, Object
from tests.cluster.container_runs import LightRun
from tests.cluster.control_plane import ControlPlane
from tests.cluster.fake_scheduler import why_not
from tests.cluster.fake_volumes import FakeVolumes
from tests.cluster.pod_life import PodLife, Surroundings
from tests.cluster.pod_status import NODE_ADDRESS, now
from tests.cluster.service_proxy import ServiceProxy

HURRY: Final = 20.0
"""Probes come that much more often than their specs say: readiness every quarter of a second instead of every 5 s."""


class PatientApi(Api):
    """Asks again while the API server is away, as kubelets do."""

    async def request(
        self, method: str, path: str, body: object = None, *, content_type: str = "application/json", **query: object
    ) -> object:
        clock = asyncio.get_running_loop().time
        give_up = clock() + PATIENCE_SECONDS
        while True:
            try:
                return await super().request(method, path, body, content_type=content_type, **query)
            except aiohttp.ClientError:
                if clock() > give_up:
                    raise
            await asyncio.sleep(0.1)


class FakeNode:
    """Use as an async context manager; at its end nothing of its pods is left."""

    def __init__(self, control_plane: ControlPlane, namespace: str, folder: Path) -> None:
        self.namespace = namespace
        self.name = f"node-of-{namespace}"
        self.images: dict[str, Sequence[str]] = {}
        """Commands that stand in for images: ``{"registry/broken:1": ["sh", "-c", "exit 3"]}``."""
        self.light = False
        """Whether servers' pods are light: they answer on the admin port only, what ``light_pod`` says."""
        self.pods: dict[str, PodLife] = {}
        """Those that run, by name."""
        self._control_plane, self._folder = control_plane, folder
        self._seen: dict[str, Object] = {}
        self._begun: set[str] = set()
        self._news = asyncio.Event()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failed: list[BaseException] = []

    async def __aenter__(self) -> Self:
        names = self._folder / "names"
        names.mkdir(parents=True)
        self._api = PatientApi(self._control_plane.admin)
        self._node = await self._register()
        self.volumes = FakeVolumes(self._api, self._folder / "claimed")
        self._proxy = ServiceProxy(self._seen.values, names / self.namespace)
        self._around = Surroundings(
            api=self._api, folder=self._folder / "pods", names=names, images=self.images, light=lambda: self.light,
            hurry=HURRY, pause_seconds=0.5, warn=self._warn,
        )  # fmt: skip
        self._watching = [
            self._task(self._see(kind, see))
            for kind, see in (
                ("v1/PersistentVolumeClaim", self._see_claim),
                ("v1/Pod", self._see_pod),
                ("v1/Service", self._proxy.see),
            )
        ]
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        tasks = [*self._tasks]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await self._proxy.close()
        for pod in self._seen.values():
            await self._api.delete(pod, gracePeriodSeconds=0)
        await self.volumes.close()
        await self._api.delete(self._node)
        await self._api.__aexit__(None, None, None)
        if self._failed and error is None:
            raise BaseExceptionGroup("the fake node failed", self._failed)

    @property
    def names(self) -> Path:
        """The folder that ``cluster_dns`` reads."""
        return self._around.names

    def with_labels(self, **labels: str) -> list[PodLife]:
        """The running pods that have these, named without what stands before a slash: ``component="server"``."""
        return [life for life in self.pods.values() if labels.items() <= life.labels.items()]

    async def until_seen(self, claim: Callable[[Mapping[str, Object]], Any]) -> None:
        """Returns once what the node itself knows of pods, by name, fulfils the claim: Services lead where it says."""
        while not claim(self._seen):
            self._news = asyncio.Event()
            await self._news.wait()

    def light_pod(self, name: str) -> LightRun:
        """The answers of a light pod."""
        return self.pods[name].light

    async def give(self, **resources: object) -> None:
        """Changes what the node has: ``give(**{"nvidia.com/gpu": 1})``."""
        amounts = {name: str(amount) for name, amount in resources.items()}
        status = {"status": {"capacity": amounts, "allocatable": amounts}}
        self._node = await self._api.patch(self._node, status, "status")
        await self._schedule_all()

    async def label(self, **labels: str) -> None:
        """Adds labels to the node."""
        self._node = await self._api.patch(self._node, {"metadata": {"labels": labels}})
        await self._schedule_all()

    async def _register(self) -> Object:
        labels = {"kubernetes.io/hostname": self.name, "kubernetes.io/os": "linux"}
        node = await self._api.create(
            {"apiVersion": "v1", "kind": "Node", "metadata": {"name": self.name, "labels": labels}, "spec": {}}
        )
        # More than any test asks for; devices are given by the test.
        amounts = {"cpu": "256", "memory": "1Ti", "pods": "250", "ephemeral-storage": "1Ti"}
        ready = {
            "type": "Ready",
            "status": "True",
            "reason": "KubeletReady",
            "lastTransitionTime": now(),
            "message": "",
        }
        status = {
            "capacity": amounts, "allocatable": amounts, "conditions": [ready],
            "addresses": [{"type": "InternalIP", "address": NODE_ADDRESS}],
        }  # fmt: skip
        return await self._api.patch(node, {"status": status}, "status")

    def _task(self, work: Coroutine[Any, Any, None]) -> asyncio.Task[None]:
        """A failure ends the test that the node is for."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[None]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            self._failed.append(error)

    async def _see(self, kind: str, see: Callable[[Event], Awaitable[None]]) -> None:
        changes: AsyncIterator[Event] = self._api.watch(kind, self.namespace)
        async for event in changes:
            if event.object:
                await see(event)

    async def _see_claim(self, event: Event) -> None:
        await self.volumes.see(event)
        await self._schedule_all()

    async def _see_pod(self, event: Event) -> None:
        pod = event.object
        name = pod["metadata"]["name"]
        self._news.set()
        if event.type == "DELETED":
            self._seen.pop(name, None)
            life = self.pods.get(name)
            if life is not None and life.uid == pod["metadata"]["uid"]:
                self._task(life.stop(0))  # somebody deleted it by force
            await self._schedule_all()
            return
        self._seen[name] = pod
        life = self.pods.get(name)
        if "nodeName" not in pod["spec"]:
            await self._schedule(pod)
        elif pod["metadata"]["uid"] not in self._begun:
            self._begun.add(pod["metadata"]["uid"])
            self._task(self._run(pod))
        elif life is not None and pod["metadata"].get("deletionTimestamp"):
            self._task(life.stop(pod["metadata"].get("deletionGracePeriodSeconds", 0)))

    async def _run(self, pod: Object) -> None:
        address = self._control_plane.addresses.address_of_a_pod()
        life = self.pods[pod["metadata"]["name"]] = PodLife(pod, address, self._around)
        try:
            await life.live()
        finally:
            del self.pods[life.name]

    async def _schedule_all(self) -> None:
        for pod in list(self._seen.values()):
            if "nodeName" not in pod["spec"]:
                await self._schedule(pod)

    async def _schedule(self, pod: Object) -> None:
        bound = [other for other in self._seen.values() if other["spec"].get("nodeName")]
        words = why_not(pod, node=self._node, bound=bound, unbound_claims=self.volumes.unbound())
        metadata = pod["metadata"]
        path = f"/api/v1/namespaces/{self.namespace}/pods/{metadata['name']}"
        try:
            if not words:
                pod["spec"]["nodeName"] = self.name
                target = {"apiVersion": "v1", "kind": "Node", "name": self.name}
                binding = {"metadata": {"name": metadata["name"], "uid": metadata["uid"]}, "target": target}
                await self._api.request("POST", f"{path}/binding", binding)
                return
            old = next((c for c in pod["status"].get("conditions") or () if c["type"] == "PodScheduled"), {})
            if old.get("message") == words:
                return
            condition = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": words,
                         "lastTransitionTime": now()}  # fmt: skip
            pod["status"]["conditions"] = [condition]
            await self._api.patch(pod, {"status": {"conditions": [condition]}}, "status")
            self._warn(pod, "FailedScheduling", words)
        except ApiError as error:
            if error.status not in (404, 409):  # it is gone
                raise

    def _warn(self, pod: Object, reason: str, message: str) -> None:
        self._task(self._write_event(pod, reason, message))

    async def _write_event(self, pod: Object, reason: str, message: str) -> None:
        metadata = pod["metadata"]
        about = {"apiVersion": "v1", "kind": "Pod", **{part: metadata[part] for part in ("name", "namespace", "uid")}}
        event = {
            "apiVersion": "v1", "kind": "Event", "type": "Warning", "reason": reason, "message": message, "count": 1,
            "metadata": {"generateName": f"{metadata['name']}.", "namespace": self.namespace, "name": ""},
            "involvedObject": about, "source": {"component": "kubelet", "host": self.name},
            "firstTimestamp": now(), "lastTimestamp": now(),
        }  # fmt: skip
        try:
            await self._api.create(event)
        except ApiError as error:
            if error.status not in (403, 404):  # the namespace goes
                raise
