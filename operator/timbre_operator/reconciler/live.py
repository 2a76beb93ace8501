"""What is in the cluster now?  Kept current by watches, by lists, and by the answers to our own writes.

The three may tell of one object in any order.  The newer version wins, as resourceVersions say it: they are numbers that
grow, of all objects of a cluster together (https://kubernetes.io/docs/reference/using-api/api-concepts/#resource-versions,
comparable since Kubernetes 1.35 by promise, before by etcd's nature).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from typing import Any, Final

from timbre_contract import labels
from timbre_operator.kinds import service_of
from timbre_operator.observed import Manifest
from timbre_operator.ports import Kind, Listing, ServiceKey
from timbre_operator.reconciler.trimming import trimmed

Changed = Callable[[ServiceKey, str], None]
"""Called with the service about which something was heard, and the kind of the object that it was."""
_Address = tuple[str, str, str]
"""Kind, namespace, name."""
_GRAVES: Final = 2000
"""Removed objects that are remembered, so that an older word about one does not bring it back: a list takes seconds, and so
many do not go in that time."""


def version_of(manifest: Mapping[str, Any]) -> int:
    """0 where there is none: anything is newer."""
    text = str(manifest["metadata"].get("resourceVersion") or "")
    return int(text) if text.isdecimal() else 0


class Live:
    """``ports.Live``, and the way in for what was heard."""

    def __init__(self, changed: Changed | None = None) -> None:
        self._changed = changed or (lambda _key, _kind: None)
        self._objects: dict[_Address, Manifest] = {}
        self._of: dict[ServiceKey, dict[_Address, Manifest]] = {}
        self._services: dict[ServiceKey, Manifest] = {}
        self._graves: dict[_Address, int] = {}

    def listen(self, changed: Changed) -> None:
        """From now on this hears of everything new."""
        self._changed = changed

    def services(self) -> Mapping[ServiceKey, Manifest]:
        return self._services

    def service(self, key: ServiceKey) -> Manifest | None:
        """None where there is no such VoiceService."""
        return self._services.get(key)

    def pods(self, key: ServiceKey) -> tuple[Manifest, ...]:
        return self._belonging(key, {"Pod"})

    def claims(self, key: ServiceKey) -> tuple[Manifest, ...]:
        """Claims of volumes, of the managed Redis."""
        return self._belonging(key, {"PersistentVolumeClaim"})

    def children(self, key: ServiceKey) -> tuple[Manifest, ...]:
        """What has our labels for this service, except for pods and claims, which controllers make."""
        return self._belonging(key, set(), but={labels.KIND, "Pod", "PersistentVolumeClaim"})

    def find(self, kind: str, namespace: str, name: str) -> Manifest | None:
        """One object; None where none was heard of."""
        return self._objects.get((kind, namespace, name))

    def put(self, manifest: Manifest, *, quietly: bool = False) -> bool:
        """Takes it in unless something newer is known; whether it was news.  ``quietly`` for what we did ourselves."""
        address, version = _address(manifest), version_of(manifest)
        known = self._objects.get(address)
        if known is not None and 0 < version <= version_of(known):
            return False
        if 0 < version <= self._graves.get(address, 0):
            return False
        kept = trimmed(manifest)
        self._keep(address, kept)
        if not quietly:
            self._tell(known, kept)
        return True

    def leave(self, manifest: Manifest) -> None:
        """We asked for its removal: until somebody tells more, it is on its way out."""
        known = self._objects.get(_address(manifest))
        if known is None or known["metadata"].get("uid") != manifest["metadata"].get("uid"):
            return
        metadata = {"deletionTimestamp": "now", **known["metadata"]}
        self._keep(_address(manifest), {**known, "metadata": metadata})

    def gone(self, manifest: Manifest) -> bool:
        """It was removed, or lost our labels; whether it was news."""
        address, version = _address(manifest), version_of(manifest)
        known = self._objects.get(address)
        self._bury(address, version)
        if known is None or 0 < version < version_of(known):
            return False
        self._take_out(address)
        self._tell(known)
        return True

    def replace(self, kind: Kind, listing: Listing, namespaces: Collection[str] = ()) -> set[_Address]:
        """All objects of a kind, in those namespaces or in all; which were news, removed ones included."""
        moment = int(listing.resource_version) if listing.resource_version.isdecimal() else 0
        there = {_address(item): item for item in listing.items}
        news = {address for address, item in there.items() if self.put(item)}
        for address, known in list(self._objects.items()):
            if address[0] != kind.kind or address in there or (namespaces and address[1] not in namespaces):
                continue
            if moment == 0 or version_of(known) <= moment:
                self._bury(address, moment)
                self._take_out(address)
                self._tell(known)
                news.add(address)
        return news

    def _belonging(self, key: ServiceKey, kinds: set[str], but: Collection[str] = ()) -> tuple[Manifest, ...]:
        belonging = self._of.get(key, {})
        return tuple(
            manifest
            for (kind, _, _), manifest in sorted(belonging.items())
            if (kind in kinds or not kinds) and kind not in but
        )

    def _keep(self, address: _Address, manifest: Manifest) -> None:
        self._take_out(address)
        self._objects[address] = manifest
        if (key := service_of(manifest)) is not None:
            self._of.setdefault(key, {})[address] = manifest
            if manifest["kind"] == labels.KIND:
                self._services[key] = manifest

    def _take_out(self, address: _Address) -> None:
        known = self._objects.pop(address, None)
        if known is None or (key := service_of(known)) is None:
            return
        belonging = self._of[key]
        del belonging[address]
        if not belonging:
            del self._of[key]
        if known["kind"] == labels.KIND:
            del self._services[key]

    def _bury(self, address: _Address, version: int) -> None:
        self._graves.pop(address, None)  # to the end of the row
        self._graves[address] = version
        while len(self._graves) > _GRAVES:
            del self._graves[next(iter(self._graves))]

    def _tell(self, *manifests: Manifest | None) -> None:
        told = {(service_of(manifest), manifest["kind"]) for manifest in manifests if manifest is not None}
        for key, kind in told:
            if key is not None:
                self._changed(key, kind)


def _address(manifest: Mapping[str, Any]) -> _Address:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]
