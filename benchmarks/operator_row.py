"""What does the operator cost with a hundred services, one of which changes every second?  On a real API server."""

from __future__ import annotations

import asyncio
import contextlib
import re
import tempfile
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, Final

from benchmarks.measuring import Bar, Chart, Result, quantile
from tests.cluster.api import Api, ApiError, Event, Object
from tests.cluster.carrying_out import in_namespace
from tests.cluster.control_plane import ROOT, ControlPlane, Tools
from tests.cluster.operator_process import OperatorHome, OperatorProcess
from tests.operator.manifests import AService, a_service

SERVICES: Final = 100
CHANGES: Final = 60
"""A minute of them.  Of fewer than a hundred the p99 is the slowest."""
DEPLOYMENT: Final = "apps/v1/Deployment"
NAMESPACE: Final = "load"
RECONCILE_SECONDS: Final = 1.0
MEMORY_MIB: Final = 250.0
"""Both are promised by the operator's requirements."""
_QUIET_SECONDS: Final = 30.0


def _service(number: int, version: int = 0) -> AService:
    written = a_service().scaled_by("HPA", minReplicas=2).with_spec(image=f"registry/timbre-server:{version}")
    return written.called(f"voice-{number}", NAMESPACE)


async def _ready_pods(api: Api) -> None:
    """What kubelets do: every pod is ready a moment after it was made."""
    async for event in api.watch("v1/Pod", NAMESPACE):
        pod = event.object
        if event.type in {"ADDED", "MODIFIED"} and not (pod.get("status") or {}).get("conditions"):
            await _ready(api, pod)


async def _ready(api: Api, pod: Object) -> None:
    names = [container["name"] for container in pod["spec"]["containers"]]
    states = [
        {"name": name, "ready": True, "started": True, "restartCount": 0, "image": "x", "imageID": "x",
         "state": {"running": {"startedAt": "2026-01-01T00:00:00Z"}}}
        for name in names
    ]  # fmt: skip
    conditions = [
        {"type": type_, "status": "True", "lastTransitionTime": "2026-01-01T00:00:00Z"}
        for type_ in ("PodScheduled", "Initialized", "ContainersReady", "Ready")
    ]
    status = {"phase": "Running", "conditions": conditions, "containerStatuses": states, "podIP": "127.0.0.1"}
    with contextlib.suppress(ApiError):  # it may be gone by now
        await api.patch(pod, {"status": status}, "status")


class _Arrivals:
    """When each Deployment got its image."""

    def __init__(self) -> None:
        self._seen: dict[tuple[str, str], float] = {}
        self._news = asyncio.Event()

    async def watch(self, api: Api) -> None:
        changes: AsyncIterator[Event] = api.watch(DEPLOYMENT, NAMESPACE)
        async for event in changes:
            if event.type in {"ADDED", "MODIFIED"}:
                (container,) = [
                    item for item in event.object["spec"]["template"]["spec"]["containers"] if item["name"] == "server"
                ]
                self._seen.setdefault((event.object["metadata"]["name"], container["image"]), time.perf_counter())
                self._news.set()

    async def at(self, name: str, image: str) -> float:
        """Waits for it."""
        while (name, image) not in self._seen:
            self._news.clear()
            await self._news.wait()
        return self._seen[name, image]


async def _measure(folder: Path) -> dict[str, Any]:
    plane = ControlPlane(Tools(), folder)
    try:
        plane.install(ROOT / "crds" / "voiceservices.yaml")
        plane.start_controllers()
        async with Api(plane.admin) as api, OperatorHome(plane, api, "timbre-system", folder / "op", folder) as home:
            await api.create({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
            await home.allow()
            running = await home.start()
            arrivals = _Arrivals()
            helpers = [asyncio.create_task(_ready_pods(api)), asyncio.create_task(arrivals.watch(api))]
            try:
                return await _load(api, running, arrivals)
            finally:
                for helper in helpers:
                    helper.cancel()
                await asyncio.gather(*helpers, return_exceptions=True)
    finally:
        plane.close()


async def _load(api: Api, running: OperatorProcess, arrivals: _Arrivals) -> dict[str, Any]:
    began = time.perf_counter()
    for number in range(SERVICES):
        await api.create(in_namespace(_service(number), NAMESPACE))
    for number in range(SERVICES):
        await arrivals.at(f"voice-{number}", "registry/timbre-server:0")
    all_made_seconds = time.perf_counter() - began
    await asyncio.sleep(_QUIET_SECONDS)  # the pods of a hundred services come, all at once
    cpu, loaded = _cpu_seconds(running), time.perf_counter()
    latencies = []
    for change in range(1, CHANGES + 1):
        began = time.perf_counter()
        number = change * 37 % SERVICES
        await api.apply(in_namespace(_service(number, change), NAMESPACE), manager="user")
        arrived = await arrivals.at(f"voice-{number}", f"registry/timbre-server:{change}")
        latencies.append(arrived - began)
        await asyncio.sleep(max(0.0, 1.0 - (time.perf_counter() - began)))
    return {
        "services": SERVICES,
        "changes": CHANGES,
        "all_made_seconds": all_made_seconds,
        "change_to_deployment_ms": {p: 1000 * quantile(latencies, float(p)) for p in ("0.5", "0.99", "1.0")},
        "memory_mib": _memory_mib(running),
        "cpu_share": (_cpu_seconds(running) - cpu) / (time.perf_counter() - loaded),
        "reconcile_p99_seconds": _histogram_quantile(await running.metrics(), 0.99),
    }


def _memory_mib(running: OperatorProcess) -> dict[str, float]:
    status = Path(f"/proc/{running.process.pid}/status").read_text()
    found = {name: int(kib) / 1024 for name, kib in re.findall(r"(VmHWM|VmRSS):\s+(\d+) kB", status)}
    return {"peak": found["VmHWM"], "now": found["VmRSS"]}


def _cpu_seconds(running: OperatorProcess) -> float:
    fields = Path(f"/proc/{running.process.pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / 100  # clock ticks of user and system


def _histogram_quantile(metrics: str, share: float) -> float:
    """The upper bound of the bucket in which it lies."""
    pattern = r'timbre_operator_reconcile_duration_seconds_bucket\{le="([^"]+)"\} ([\d.e+]+)'
    buckets = [(float(bound), float(count)) for bound, count in re.findall(pattern, metrics)]
    total = buckets[-1][1]
    return next(bound for bound, count in buckets if count >= share * total)


def operator() -> Result:
    """From the user's change to the changed Deployment, both as the API server tells of them."""
    with tempfile.TemporaryDirectory() as folder:
        figures = asyncio.run(_measure(Path(folder)))
    p99 = figures["change_to_deployment_ms"]["0.99"]
    peak = figures["memory_mib"]["peak"]
    bars = [
        Bar("p99 from a change to the Deployment", p99 / 1000, "s", RECONCILE_SECONDS),
        Bar("p99 of one reconciliation (upper bound)", figures["reconcile_p99_seconds"], "s", RECONCILE_SECONDS),
        Bar("memory of the operator, at most", peak, "MiB", MEMORY_MIB),
    ]
    charts = [
        Chart("A change reaches its Deployment, p99", "ms", {"timbre": p99}, limit=1000 * RECONCILE_SECONDS),
        Chart("Memory with 100 services, peak", "MiB", {"timbre": peak}, limit=MEMORY_MIB),
    ]
    workload = f"{SERVICES} VoiceServices on a real API server, one change a second, {CHANGES} of them"
    return Result("operator", workload, bars, figures, charts)
