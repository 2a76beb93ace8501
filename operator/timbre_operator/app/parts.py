"""Which adapter stands behind which port of one operator?"""

from __future__ import annotations

import asyncio
import time
import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from timbre_contract import labels
from timbre_operator.app.health import LEAST_STALE_SECONDS, Health
from timbre_operator.cluster.api_cluster import ApiCluster
from timbre_operator.cluster.connection import Connection
from timbre_operator.cluster.lease import Lease
from timbre_operator.cluster.lease_store import ApiLeaseStore
from timbre_operator.metrics import Metrics
from timbre_operator.ports import ServiceKey
from timbre_operator.reconciler.convergence import Reconciler
from timbre_operator.reconciler.fence import FencedCluster
from timbre_operator.reconciler.freshness import Freshness
from timbre_operator.reconciler.live import Live
from timbre_operator.reconciler.load_loop import LoadLoop
from timbre_operator.reconciler.redis_looks import RedisLooks
from timbre_operator.reconciler.resync import Resync
from timbre_operator.reconciler.work_queue import WorkQueue
from timbre_operator.reconciler.world import Surroundings, World
from timbre_operator.redis_probe import NetworkRedisProbe
from timbre_operator.scraping import HttpScraper
from timbre_operator.service_metrics import ServiceMetrics
from timbre_operator.settings import OperatorSettings

_GATHER_SECONDS: Final = 0.1
"""A rollout of one pod is some twenty events within a second or two; nobody waits for a tenth of it, and most of the turns
are saved."""
_ROUNDS: Final = 2
"""Rates need two looks at each pod; before that there is no number to serve."""


@dataclass(frozen=True, kw_only=True)
class Parts:
    """One operator, put together and not yet running."""

    settings: OperatorSettings
    metrics: Metrics
    live: Live
    freshness: Freshness
    lease: Lease
    cluster: FencedCluster
    surroundings: Surroundings
    resync: Resync
    reconciler: Reconciler
    queue: WorkQueue[ServiceKey]
    redis_looks: RedisLooks
    scraper: HttpScraper
    load: LoadLoop

    def heard(self, type_: str, manifest: Mapping[str, Any]) -> None:
        """A watch told of an object."""
        metadata = manifest["metadata"]
        self.freshness.heard((manifest["kind"], metadata.get("namespace", ""), metadata["name"]))
        if type_ == "DELETED":
            self.live.gone(manifest)
        else:
            self.live.put(manifest)

    def news(self, key: ServiceKey, kind: str) -> None:
        """Something is new about a service: what its user wrote at once, all else in a moment."""
        self.queue.add(key, 0.0 if kind == labels.KIND else _GATHER_SECONDS)

    def tell_metrics(self) -> None:
        """Lets the metrics ask all of this for its numbers."""
        self.metrics.watch_leadership(self.lease.held)
        self.metrics.watch_queue(self.queue.depth, self.queue.oldest_seconds)
        self.metrics.add(ServiceMetrics(self.live, self.load))
        self.metrics.watch_cluster(lambda: len(self.live.services()), self.freshness.idle_seconds)

    @property
    def serves_metrics(self) -> bool:
        """Whether this process answers custom.metrics.k8s.io."""
        return self.settings.serves_metrics

    def health(self, *, leading: asyncio.Event, synced: asyncio.Event) -> Health:
        """What the probes ask."""
        return Health(
            idle_seconds=self.freshness.idle_seconds,
            most_idle=self.freshness.most_idle,
            oldest_seconds=self.queue.oldest_seconds,
            lease_lost=lambda: leading.is_set() and not self.lease.held(),
            synced=lambda: synced.is_set() and (not self.serves_metrics or self.load.rounds >= _ROUNDS),
            stale_seconds=max(LEAST_STALE_SECONDS, 5 * self.settings.resync_seconds),
        )


def build_parts(
    settings: OperatorSettings, metrics: Metrics, connection: Connection, lease_connection: Connection
) -> Parts:
    """Wires them; the lease has a connection of its own, so that no crowd of requests holds a renewal up."""
    clock = time.monotonic
    live = Live()
    freshness = Freshness(clock, metrics.watch_missed)
    lease, cluster = _build_writer(settings, connection, lease_connection)
    surroundings = Surroundings()
    scraper = HttpScraper(told=metrics.scraped)
    load = LoadLoop(
        live,
        scraper,
        cluster,
        leads=lease.held,
        news=lambda key: queue.add(key) if lease.held() else None,
        clock=clock,
        period_seconds=settings.scrape_seconds,
    )
    world = World(
        cluster=cluster,
        live=live,
        load=load,
        release=settings.release,
        metrics=metrics,
        clock=clock,
        surroundings=surroundings,
    )
    reconciler = Reconciler(world)
    queue = WorkQueue(reconciler.converge)
    seen = (cluster, live, freshness, surroundings)
    resync = Resync(*seen, namespaces=settings.namespaces, serves_metrics=settings.serves_metrics)
    redis_looks = RedisLooks(
        reconciler,
        NetworkRedisProbe(),
        services=lambda: list(live.services()),
        news=queue.add,
        clock=clock,
        leads=lease.held,
    )
    parts = Parts(
        settings=settings,
        metrics=metrics,
        live=live,
        freshness=freshness,
        lease=lease,
        cluster=cluster,
        surroundings=surroundings,
        resync=resync,
        reconciler=reconciler,
        queue=queue,
        redis_looks=redis_looks,
        scraper=scraper,
        load=load,
    )
    parts.tell_metrics()
    return parts


def _build_writer(
    settings: OperatorSettings, connection: Connection, lease_connection: Connection
) -> tuple[Lease, FencedCluster]:
    """Who may write, and the cluster as it lets nobody else."""
    # Two processes never have one identity, also not two in the same pod one after the other.
    identity = f"{settings.identity}_{uuid.uuid4().hex[:8]}"
    lease = Lease(ApiLeaseStore(lease_connection, settings.release.operator_namespace, settings.lease_name), identity)
    return lease, FencedCluster(ApiCluster(connection, identity=identity), lease.held)
