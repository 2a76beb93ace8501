"""One operator's reconciler on a cluster in memory, with a watch that tells of everything at once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from tests.operator.desired.children import RELEASE
from tests.operator.manifests import AService, a_service
from tests.operator.reconciler.cluster_in_memory import ClusterInMemory, Manifest
from timbre_operator.metrics import Metrics
from timbre_operator.observed import Load
from timbre_operator.ports import ServiceKey
from timbre_operator.reconciler.convergence import Reconciler
from timbre_operator.reconciler.live import Live
from timbre_operator.reconciler.world import Surroundings, World

KEY = ServiceKey("studio", "narrator")
START = datetime(2026, 1, 1, tzinfo=UTC)


class Loads:
    """What services are said to be asked for."""

    def __init__(self) -> None:
        self.of: dict[ServiceKey, Load] = {}

    def load(self, key: ServiceKey) -> Load | None:
        return self.of.get(key)


class Scene:
    """Time passes only by ``wait``."""

    def __init__(self, service: AService | None = None) -> None:
        self.cluster = ClusterInMemory()
        self.live = Live()
        self.metrics = Metrics()
        self.loads = Loads()
        self.surroundings = Surroundings(kinds=self.cluster.kinds)
        self.seconds = 0.0
        self.cluster.told = self._hear
        self.world = World(
            cluster=self.cluster,
            live=self.live,
            load=self.loads,
            release=RELEASE,
            metrics=self.metrics,
            clock=lambda: self.seconds,
            now=lambda: START + timedelta(seconds=self.seconds),
            surroundings=self.surroundings,
        )
        self.begin_anew()
        if service is not None:
            self.write(service)

    def begin_anew(self) -> None:
        """Another process of the operator, which remembers nothing."""
        self.reconciler = Reconciler(self.world)

    def write(self, service: AService) -> None:
        """A user applies this: the status stays, the generation grows."""
        manifest = dict(service.manifest)
        found = self.cluster.objects.get(("VoiceService", KEY.namespace, KEY.name))
        generation = int(found["metadata"]["generation"]) + 1 if found else 1
        manifest["metadata"] = {**manifest["metadata"], "generation": generation}
        self.cluster.add(manifest | ({"status": found["status"]} if found and "status" in found else {}))

    async def turn(self) -> float | None:
        return await self.reconciler.converge(KEY)

    async def settled(self) -> Scene:
        """After as many turns as it takes until nothing is written any more."""
        for _ in range(5):
            before = self.cluster.writes()
            await self.turn()
            if self.cluster.writes() == before:
                return self
        raise AssertionError(f"never at rest: {self.cluster.calls}")

    def wait(self, seconds: float) -> None:
        self.seconds += seconds

    def get(self, kind: str, name: str = KEY.name) -> dict[str, Any]:
        return self.cluster.objects[kind, KEY.namespace, name]

    def has(self, kind: str, name: str = KEY.name) -> bool:
        return (kind, KEY.namespace, name) in self.cluster.objects

    def condition(self, type_: str) -> dict[str, Any]:
        (found,) = [c for c in self.get("VoiceService")["status"]["conditions"] if c["type"] == type_]
        return dict(found)

    def drift(self, kind: str) -> float:
        value = self.metrics.registry.get_sample_value("timbre_operator_drift_corrections_total", {"kind": kind})
        return value or 0.0

    def _hear(self, type_: str, manifest: Manifest) -> None:
        if type_ == "DELETED":
            self.live.gone(manifest)
        else:
            self.live.put(manifest)


async def a_scene(service: AService | None = None) -> Scene:
    """A service that has all of its children."""
    return await Scene(service or a_service()).settled()
