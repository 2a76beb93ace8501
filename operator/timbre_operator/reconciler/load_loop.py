"""What are services asked to do, told by their pods every few seconds?

Every replica of the operator asks all pods, so that each can serve the series; the one that leads also tells Kubernetes which
pods would be missed most.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Any, Final

from timbre_contract import labels
from timbre_contract.api import ADMIN_PORT
from timbre_operator.errors import ClusterError, NotLeading
from timbre_operator.kinds import POD
from timbre_operator.observed import Load, Manifest, PodSample
from timbre_operator.ports import Cluster, Live, PodScraper, ServiceKey
from timbre_operator.scaling import DeletionCosts, Ledger, deletion_costs
from timbre_operator.scaling.deletion_cost import ANNOTATION

PERIOD_SECONDS: Final = 5.0
"""A third of the HPA's: what it reads is never older than that, and its rates are those of more than one look."""
NUMBERS_SECONDS: Final = 15.0
"""How often a service gets a turn because its numbers moved: as often as they are reported."""
_CONTAINER: Final = "server"

logger = logging.getLogger("timbre.load")


@dataclass
class _Service:
    """What is kept about one service."""

    ledger: Ledger = field(default_factory=Ledger)
    costs: DeletionCosts | None = None
    """None while another replica decides them."""
    told: Load | None = None
    told_at: float = -inf


@dataclass(frozen=True)
class _Order:
    """Deletion costs of one service that are to be written."""

    key: ServiceKey
    changes: Mapping[str, int]
    before: DeletionCosts
    """As they are in the cluster."""


class LoadLoop:
    """``ports.LoadSource`` and ``ports.SeriesSource``; lives on one event loop."""

    def __init__(
        self,
        live: Live,
        scraper: PodScraper,
        cluster: Cluster,
        *,
        leads: Callable[[], bool],
        news: Callable[[ServiceKey], None] | None = None,
        clock: Callable[[], float] = time.monotonic,
        period_seconds: float = PERIOD_SECONDS,
    ) -> None:
        """``leads``: whether this replica may write.  ``news`` hears of services whose load is worth a turn."""
        self._live = live
        self._scraper = scraper
        self._cluster = cluster
        self._leads = leads
        self._news = news or (lambda _key: None)
        self._clock = clock
        self._period_seconds = period_seconds
        self._services: dict[ServiceKey, _Service] = {}
        self._writing: asyncio.Task[None] | None = None
        self.rounds = 0
        """How often all pods were asked; rates need two of them."""

    async def run(self) -> None:
        """Asks every period, until it is cancelled.  To be begun once the watches have told what there is."""
        try:
            while True:
                began = self._clock()
                await self.round()
                await asyncio.sleep(max(0.0, began + self._period_seconds - self._clock()))
        finally:
            if self._writing is not None:
                self._writing.cancel()

    async def round(self) -> None:
        """Asks all pods once."""
        now = self._clock()
        pods = {key: tuple(_listed(self._live.pods(key))) for key in self._live.services()}
        self._services = {key: self._services.get(key) or _Service() for key in pods}
        asked = [(key, pod) for key, several in pods.items() for pod in several]
        answers = await asyncio.gather(*(self._sample(pod) for _, pod in asked))
        samples: dict[ServiceKey, dict[str, PodSample | None]] = {key: {} for key in pods}
        for (key, pod), sample in zip(asked, answers, strict=True):
            if sample is not None or not _starts(pod):
                samples[key][pod["metadata"]["name"]] = sample
        for key, of_service in samples.items():
            self._services[key].ledger.advance(of_service, now)
            self._tell(key, now)
        self.rounds += 1
        if self._writing is None or self._writing.done():  # an API server that is slow holds no round up
            orders = [order for key in pods if (order := self._order(key, pods[key], samples[key], now))]
            self._writing = asyncio.create_task(self._write(orders), name="deletion-costs") if orders else None

    async def written(self) -> None:
        """Returns when what the last round decided is written, or was refused."""
        if self._writing is not None:
            await asyncio.wait({self._writing})

    def load(self, key: ServiceKey) -> Load | None:
        service = self._services.get(key)
        return service.ledger.load() if service else None

    def services(self) -> Sequence[ServiceKey]:
        return sorted(self._live.services())

    def series(self, key: ServiceKey) -> Mapping[str, float] | None:
        """Also None while nothing true can be said: before the second round, and where no pod answers for minutes."""
        service = self._services.get(key)
        return service.ledger.series() if service and key in self._live.services() else None

    async def _sample(self, pod: Manifest) -> PodSample | None:
        address = _address(pod)
        return await self._scraper.scrape(address) if address else None

    def _tell(self, key: ServiceKey, now: float) -> None:
        service = self._services[key]
        load = service.ledger.load()
        if load is None or load == service.told:
            return
        if service.told is None or _calm(load) != _calm(service.told) or now - service.told_at >= NUMBERS_SECONDS:
            service.told, service.told_at = load, now
            self._news(key)

    def _order(
        self, key: ServiceKey, pods: Sequence[Manifest], samples: Mapping[str, PodSample | None], now: float
    ) -> _Order | None:
        """What is to be written about the pods of one service; None where all is as it should be."""
        service = self._services[key]
        if not self._leads():
            service.costs = None
            return None
        there = {pod["metadata"]["name"]: _cost(pod) for pod in pods}
        before = service.costs or DeletionCosts(there, -inf)
        heard = {name: sample for name, sample in samples.items() if sample is not None}
        service.costs = deletion_costs(heard, before, now)
        if service.costs is before:
            return None
        changes = {name: cost for name, cost in service.costs.costs.items() if cost != there[name]}
        return _Order(key, changes, DeletionCosts(there, now))

    async def _write(self, orders: Sequence[_Order]) -> None:
        for order in orders:
            try:
                for name, cost in order.changes.items():
                    annotation = {ANNOTATION: str(cost) if cost else None}
                    await self._cluster.annotate(POD, order.key.namespace, name, annotation)
            except NotLeading:
                return
            except ClusterError as error:
                fields = {"namespace": order.key.namespace, "voiceservice": order.key.name, "error": str(error)}
                logger.warning("the deletion costs of pods could not be written", extra={"fields": fields})
                if (service := self._services.get(order.key)) is not None:
                    service.costs = order.before  # and so they are decided again, after a while


def _listed(pods: Sequence[Manifest]) -> Iterator[Manifest]:
    """Pods of the server that count: not those that leave, and not those whose process never began."""
    for pod in pods:
        metadata, status = pod["metadata"], pod.get("status") or {}
        is_server = (metadata.get("labels") or {}).get(labels.COMPONENT_LABEL) == labels.SERVER_COMPONENT
        if is_server and not metadata.get("deletionTimestamp") and status.get("phase") == "Running" and _began(status):
            yield pod


def _began(status: Mapping[str, Any]) -> bool:
    """Whether the server runs, or did: one that crashed is a pod that does not answer, one that never began is none."""
    container = _container(status)
    return "running" in (container.get("state") or {}) or int(container.get("restartCount") or 0) > 0


def _starts(pod: Manifest) -> bool:
    """Whether it runs for the first time and has not been ready: nobody has to listen yet, so silence says nothing."""
    container = _container(pod["status"])
    return container.get("started") is False and not int(container.get("restartCount") or 0)


def _address(pod: Manifest) -> str | None:
    """Of its admin port; None while there is nobody to ask."""
    status = pod["status"]
    address = str(status.get("podIP") or "")
    if not address or "running" not in (_container(status).get("state") or {}):
        return None
    return f"[{address}]:{ADMIN_PORT}" if ":" in address else f"{address}:{ADMIN_PORT}"


def _container(status: Mapping[str, Any]) -> Mapping[str, Any]:
    containers = status.get("containerStatuses") or ()
    return next((container for container in containers if container.get("name") == _CONTAINER), {})


def _cost(pod: Manifest) -> int:
    """As it is annotated; 0 where it is not, as Kubernetes has it."""
    try:
        return int((pod["metadata"].get("annotations") or {}).get(ANNOTATION, "0"))
    except ValueError:
        return 0


def _calm(load: Load) -> tuple[object, ...]:
    """What is worth a turn at once."""
    return load.silent_pods, load.held, load.cold_pods
