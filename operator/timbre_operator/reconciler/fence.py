"""Who may write now?  Every write passes here, so that nothing that we do after the Lease is lost reaches the cluster."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from timbre_operator.errors import NotLeading
from timbre_operator.observed import Manifest
from timbre_operator.ports import Cluster, Discovered, EventNote, Kind, Listing


class FencedCluster:
    """``ports.Cluster`` that writes only while ``held()``; reads go through always."""

    def __init__(self, cluster: Cluster, held: Callable[[], bool]) -> None:
        self._cluster = cluster
        self._held = held

    async def apply(self, manifest: Manifest, *, manager: str, subresource: str = "", new: bool = False) -> Manifest:
        self._check()
        return await self._cluster.apply(manifest, manager=manager, subresource=subresource, new=new)

    async def create(self, manifest: Manifest) -> Manifest:
        self._check()
        return await self._cluster.create(manifest)

    async def delete(self, manifest: Manifest, *, orphan: bool = False) -> None:
        self._check()
        await self._cluster.delete(manifest, orphan=orphan)

    async def annotate(self, kind: Kind, namespace: str, name: str, annotations: Mapping[str, str | None]) -> None:
        self._check()
        await self._cluster.annotate(kind, namespace, name, annotations)

    async def announce(self, regarding: Manifest, event: EventNote) -> None:
        self._check()
        await self._cluster.announce(regarding, event)

    async def fetch(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        return await self._cluster.fetch(kind, namespace, name)

    async def find(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> list[Manifest]:
        return await self._cluster.find(kind, namespace=namespace, labels=labels, fields=fields)

    async def snapshot(self, kind: Kind, *, namespace: str = "", labels: Mapping[str, str] | None = None) -> Listing:
        return await self._cluster.snapshot(kind, namespace=namespace, labels=labels)

    async def optional_kinds(self) -> Discovered:
        return await self._cluster.optional_kinds()

    async def custom_metrics(self) -> frozenset[str] | None:
        return await self._cluster.custom_metrics()

    async def may(self, verb: str, kind: Kind, namespace: str = "") -> bool:
        return await self._cluster.may(verb, kind, namespace)

    def _check(self) -> None:
        if not self._held():
            raise NotLeading("this operator does not hold the lease")
