"""Services of one namespace, as a kube-proxy makes them: their addresses lead to pods that are ready.

The addresses come from the API server, out of the loopback range; so tests, pods and the API server itself reach them.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import count
from pathlib import Path
from typing import Any

from tests import listeners
from tests.cluster.api import Event, Object

_CHUNK = 65536


class ServiceProxy:
    """Told about Services by ``see``; asks for pods at each connection."""

    def __init__(self, pods: Callable[[], Iterable[Object]], names: Path) -> None:
        """``names``: the file that cluster DNS reads."""
        self._pods, self._names = pods, names
        self._services: dict[str, Object] = {}
        self._listeners: dict[tuple[str, int], asyncio.Server] = {}
        self._connections: set[asyncio.Task[None]] = set()
        self._turn = count()

    async def see(self, event: Event) -> None:
        """One change of a Service."""
        service = event.object
        if event.type == "DELETED":
            self._services.pop(service["metadata"]["name"], None)
        else:
            self._services[service["metadata"]["name"]] = service
        await self._listen()
        lines = [f"{name} {address}\n" for name, item in self._services.items() if (address := _address(item))]
        self._names.write_text("".join(lines), "ascii")

    async def close(self) -> None:
        """No address leads anywhere any more."""
        self._services.clear()
        await self._listen()
        for task in self._connections:
            task.cancel()
        await asyncio.gather(*self._connections, return_exceptions=True)

    async def _listen(self) -> None:
        wanted = {
            (address, port["port"]): (name, port)
            for name, service in self._services.items()
            if (address := _address(service))
            for port in service["spec"].get("ports") or ()
            if port.get("protocol", "TCP") == "TCP"
        }
        for key in [key for key in self._listeners if key not in wanted]:
            await listeners.end(self._listeners.pop(key))
        for key, (name, port) in wanted.items():
            if key not in self._listeners:
                with contextlib.suppress(
                    PermissionError
                ):  # a port below 1024, and we are not root: nobody is led there
                    self._listeners[key] = await listeners.begin(self._accepting(name, port), *key)

    def _accepting(self, name: str, port: Object) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.get_running_loop().create_task(self._connect(name, port, reader, writer))
            self._connections.add(task)
            task.add_done_callback(self._connections.discard)
            # A client of a Service without pods is refused; here it is cut off at once.
            task.add_done_callback(lambda _: writer.transport.abort())

        return accept

    async def _connect(
        self, name: str, port: Object, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        service = self._services.get(name)
        endpoints = list(endpoints_of(service, self._pods(), port)) if service else []
        if not endpoints:
            return
        address = endpoints[next(self._turn) % len(endpoints)]
        with contextlib.suppress(OSError):
            pod_reader, pod_writer = await asyncio.open_connection(*address)
            try:
                await asyncio.gather(_pass_on(reader, pod_writer), _pass_on(pod_reader, writer))
            finally:
                pod_writer.transport.abort()


async def _pass_on(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    while chunk := await reader.read(_CHUNK):
        writer.write(chunk)
        await writer.drain()
    if writer.can_write_eof():
        writer.write_eof()


def _address(service: Object) -> str:
    address = service["spec"].get("clusterIP") or "None"
    return "" if address == "None" else str(address)


def endpoints_of(service: Object, pods: Iterable[Object], port: Object) -> Iterator[tuple[str, int]]:
    """Addresses of the pods that serve: ready and not leaving; where there is none, leaving ones that still answer."""
    selector = service["spec"].get("selector") or {}
    chosen = [pod for pod in pods if selector and selector.items() <= (pod["metadata"].get("labels") or {}).items()]
    if not service["spec"].get("publishNotReadyAddresses"):
        ready = [pod for pod in chosen if _is_ready(pod)]
        chosen = [pod for pod in ready if not pod["metadata"].get("deletionTimestamp")] or ready
    for pod in chosen:
        address = (pod.get("status") or {}).get("podIP")
        number = _number(pod, port.get("targetPort", port["port"]))
        if address and number:
            yield address, number


def _is_ready(pod: Object) -> bool:
    conditions = (pod.get("status") or {}).get("conditions") or ()
    return any(condition["type"] == "Ready" and condition["status"] == "True" for condition in conditions)


def _number(pod: Mapping[str, Any], target: int | str) -> int:
    if isinstance(target, int):
        return target
    ports = (port for container in pod["spec"]["containers"] for port in container.get("ports") or ())
    return next((int(port["containerPort"]) for port in ports if port.get("name") == target), 0)
