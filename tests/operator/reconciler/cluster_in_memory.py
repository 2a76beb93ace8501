"""A cluster that lies in memory: it keeps promises of ``ports.Cluster``, counts what it is asked, and refuses what it is told to.

Fields belong to whoever applied them, as on a real API server, except that a list is one field.
"""

from __future__ import annotations

import copy
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from typing import Any

from timbre_operator.errors import ClusterError, Conflict
from timbre_operator.kinds import kind_of
from timbre_operator.observed import OptionalKind
from timbre_operator.ports import Discovered, EventNote, Kind, Listing

Manifest = Mapping[str, Any]
Address = tuple[str, str, str]
Path = tuple[str, ...]


class ClusterInMemory:
    """``objects`` is what is there; ``calls`` is what was asked, as ``apply Deployment/narrator``."""

    def __init__(self) -> None:
        self.objects: dict[Address, dict[str, Any]] = {}
        self.calls: Counter[str] = Counter()
        self.announced: list[EventNote] = []
        self.kinds = frozenset(OptionalKind)
        self.silent: dict[OptionalKind, str] = {}
        """Kinds whose API group does not answer."""
        self.metrics: frozenset[str] | None = None
        self.denied: set[str] = set()
        """Rights that we lack, as ``watch secrets``, or ``watch secrets studio`` in one namespace."""
        self.told: Callable[[str, Manifest], None] = lambda _type, _manifest: None
        """Hears of every change, as a watch does."""
        self._refusals: dict[str, ClusterError] = {}
        self._once: set[str] = set()
        self._owned: dict[Address, dict[tuple[str, str], set[Path]]] = {}
        self._version = 0

    # -- the scene

    def refuse(self, call: str, error: ClusterError) -> None:
        """From now on this call fails so; ``apply`` alone means every apply."""
        self._refusals[call] = error

    def refuse_once(self, call: str, error: ClusterError) -> None:
        """The next such call fails so, and no other one."""
        self._refusals[call] = error
        self._once.add(call)

    def allow(self, call: str) -> None:
        del self._refusals[call]

    def writes(self) -> int:
        return sum(
            number
            for call, number in self.calls.items()
            if call.split(maxsplit=1)[0] not in {"fetch", "find", "snapshot", "may"}
        )

    def add(self, manifest: Manifest) -> dict[str, Any]:
        """Somebody else made it, or changed it."""
        return self._store(_address(manifest), copy.deepcopy(dict(manifest)), "ADDED")

    def remove(self, kind: str, namespace: str, name: str) -> None:
        """Somebody else removed it."""
        gone = self.objects.pop((kind, namespace, name))
        self._owned.pop((kind, namespace, name), None)
        self._version += 1
        gone["metadata"]["resourceVersion"] = str(self._version)
        self.told("DELETED", copy.deepcopy(gone))

    # -- ports.Cluster

    async def apply(self, manifest: Manifest, *, manager: str, subresource: str = "", new: bool = False) -> Manifest:
        address = self._asked("apply", manifest, subresource)
        found = self.objects.get(address)
        uid = manifest["metadata"].get("uid")
        if uid and (found is None or found["metadata"]["uid"] != uid):
            raise Conflict("uid mismatch")
        if new and found is not None:
            raise Conflict("the object has been modified")
        owned = self._owned.setdefault(address, {})
        wanted = {
            path for path in _leaves(manifest) if path[0] not in {"apiVersion", "kind"} and path[:2] not in _FIXED
        }
        merged = _merged(found or {}, manifest)
        for path in owned.get((manager, subresource), set()) - wanted:
            if not any(path in paths for key, paths in owned.items() if key != (manager, subresource)):
                _remove(merged, path)
        for key, paths in owned.items():
            if key != (manager, subresource):
                paths.difference_update(wanted)
        owned[manager, subresource] = wanted
        merged["metadata"]["managedFields"] = [
            {"manager": who, "operation": "Apply", "subresource": what, "fieldsV1": _fields(paths)}
            for (who, what), paths in owned.items()
        ]
        if found is not None and _same(found, merged):
            return copy.deepcopy(found)
        return self._store(address, merged, "ADDED" if found is None else "MODIFIED")

    async def create(self, manifest: Manifest) -> Manifest:
        address = self._asked("create", manifest)
        if address in self.objects:
            raise Conflict(f"{address[1]} is there already", reason="AlreadyExists")
        return self._store(address, copy.deepcopy(dict(manifest)), "ADDED")

    async def delete(self, manifest: Manifest, *, orphan: bool = False) -> None:
        address = self._asked("orphan" if orphan else "delete", manifest)
        if address in self.objects and self.objects[address]["metadata"]["uid"] == manifest["metadata"]["uid"]:
            self.remove(*address)

    async def fetch(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        self._call(f"fetch {kind.kind}/{name}")
        return copy.deepcopy(self.objects.get((kind.kind, namespace, name)))

    async def find(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> list[Manifest]:
        self._call(f"find {kind.kind}")
        return [item for item in self._all(kind, namespace, labels) if _has_fields(item, fields or {})]

    async def snapshot(self, kind: Kind, *, namespace: str = "", labels: Mapping[str, str] | None = None) -> Listing:
        self._call(f"snapshot {kind.kind}")
        return Listing(tuple(self._all(kind, namespace, labels)), str(self._version))

    async def annotate(self, kind: Kind, namespace: str, name: str, annotations: Mapping[str, str | None]) -> None:
        self._call(f"annotate {kind.kind}/{name}")
        found = self.objects.get((kind.kind, namespace, name))
        if found is None:
            return
        there = {**(found["metadata"].get("annotations") or {}), **annotations}
        kept = {key: text for key, text in there.items() if text is not None}
        self._store(_address(found), {**found, "metadata": {**found["metadata"], "annotations": kept}}, "MODIFIED")

    async def optional_kinds(self) -> Discovered:
        self._call("optional kinds")
        return Discovered(self.kinds - self.silent.keys(), self.silent)

    async def custom_metrics(self) -> frozenset[str] | None:
        self._call("custom metrics")
        return self.metrics

    async def may(self, verb: str, kind: Kind, namespace: str = "") -> bool:
        self._call(f"may {verb} {kind.plural}")
        return not self.denied & {f"{verb} {kind.plural}", f"{verb} {kind.plural} {namespace}"}

    async def announce(self, regarding: Manifest, event: EventNote) -> None:
        self._call(f"announce {event.reason}")
        self.announced.append(event)

    # -- inside

    def _asked(self, verb: str, manifest: Manifest, subresource: str = "") -> Address:
        kind_of(manifest)
        address = _address(manifest)
        self._call(f"{verb} {address[0]}/{address[2]}" + (f"/{subresource}" if subresource else ""))
        return address

    def _call(self, call: str) -> None:
        self.calls[call] += 1
        error = self._refusals.get(call) or self._refusals.get(call.split(maxsplit=1)[0])
        if error is not None:
            if call in self._once:
                self._once.discard(call)
                self.allow(call)
            raise error

    def _all(self, kind: Kind, namespace: str, labels: Mapping[str, str] | None) -> Iterator[dict[str, Any]]:
        for (what, where, _), item in sorted(self.objects.items()):
            marks = item["metadata"].get("labels") or {}
            if what == kind.kind and namespace in {"", where} and (labels or {}).items() <= marks.items():
                yield copy.deepcopy(item)

    def _store(self, address: Address, manifest: dict[str, Any], type_: str) -> dict[str, Any]:
        self._version += 1
        before = self.objects.get(address)
        metadata = manifest["metadata"] = {**manifest["metadata"], "resourceVersion": str(self._version)}
        metadata.setdefault("uid", before["metadata"]["uid"] if before else f"uid-{self._version}")
        self.objects[address] = manifest
        self.told(type_, copy.deepcopy(manifest))
        return copy.deepcopy(manifest)


_FIXED = {("metadata", "name"), ("metadata", "namespace"), ("metadata", "uid")}


def _address(manifest: Manifest) -> Address:
    metadata = manifest["metadata"]
    return manifest["kind"], metadata.get("namespace", ""), metadata["name"]


def _leaves(value: Any, path: Path = ()) -> Iterator[Path]:
    if isinstance(value, Mapping) and value:
        for name, part in value.items():
            yield from _leaves(part, (*path, str(name)))
    else:
        yield path


def _merged(base: Mapping[str, Any], patch: Mapping[str, Any]) -> dict[str, Any]:
    result = copy.deepcopy(dict(base))
    for name, value in patch.items():
        old = result.get(name)
        both = isinstance(value, Mapping) and isinstance(old, Mapping)
        result[name] = _merged(old, value) if both else copy.deepcopy(value)  # type: ignore[arg-type]
    return result


def _remove(value: dict[str, Any], path: Path) -> None:
    for name in path[:-1]:
        value = value.get(name) or {}
    value.pop(path[-1], None)


def _fields(paths: set[Path]) -> dict[str, Any]:
    fields: dict[str, Any] = {}
    for path in sorted(paths):
        inner = fields
        for name in path:
            inner = inner.setdefault(f"f:{name}", {})
    return fields


def _same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    return all(one.get(name) == other.get(name) for name in {*one, *other})


def _has_fields(item: Mapping[str, Any], fields: Mapping[str, str]) -> bool:
    for path, expected in fields.items():
        value: Any = item
        for name in path.split("."):
            value = (value or {}).get(name)
        if value != expected:
            return False
    return True
