"""How does the operator read and change objects on a real API server?"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import UTC, datetime
from typing import Any, Final

from timbre_contract import labels as names
from timbre_operator.cluster.announcements import Announcements
from timbre_operator.cluster.connection import APPLY, MERGE, Connection
from timbre_operator.cluster.paths import path_of, selector, with_query
from timbre_operator.errors import ClusterError, Conflict, Forbidden, NotFound
from timbre_operator.kinds import CHILDREN, EVENT, group_of, kind_of
from timbre_operator.observed import Manifest
from timbre_operator.ports import Discovered, EventNote, Kind, Listing

CUSTOM_METRICS: Final = "/apis/custom.metrics.k8s.io/v1beta2"
_REVIEWS: Final = "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews"
_REVIEW: Final = "REVIEW"
"""A question, which is sent as a POST and writes nothing: operators that do not lead ask too."""
_NOBODYS_VERSION: Final = "1"
"""No object has it: etcd is at 1 while it is empty.  An apply with a version is refused where an object is that has another
one, and makes one where none is; a create could not be followed by applies that take fields away."""
_LIST_SECONDS: Final = 30.0
"""Thousands of objects of a busy cluster, in one answer."""


def _now() -> datetime:
    return datetime.now(UTC)


class ApiCluster:
    """``ports.Cluster`` over one connection."""

    def __init__(self, connection: Connection, *, identity: str, now: Callable[[], datetime] = _now) -> None:
        self._connection = connection
        self._announcements = Announcements(identity)
        self._now = now

    async def apply(self, manifest: Manifest, *, manager: str, subresource: str = "", new: bool = False) -> Manifest:
        path = with_query(_path(manifest, subresource), {"fieldManager": manager, "force": "true"})
        metadata = {**manifest["metadata"], **({"resourceVersion": _NOBODYS_VERSION} if new else {})}
        body = {**manifest, "metadata": metadata}
        return _named(await self._connection.request("PATCH", path, body, content_type=APPLY), manifest)

    async def create(self, manifest: Manifest) -> Manifest:
        kind = kind_of(manifest)
        path = with_query(path_of(kind, manifest["metadata"]["namespace"]), {"fieldManager": names.FIELD_MANAGER})
        return _named(await self._connection.request("POST", path, dict(manifest)), manifest)

    async def delete(self, manifest: Manifest, *, orphan: bool = False) -> None:
        options = {
            "apiVersion": "v1",
            "kind": "DeleteOptions",
            "propagationPolicy": "Orphan" if orphan else "Background",
            "preconditions": {"uid": manifest["metadata"]["uid"]},
        }
        try:
            await self._connection.request("DELETE", _path(manifest), options)
        except NotFound:
            return
        except Conflict:
            # Another object has the name by now: ours is gone, and that one we were not asked for.  While ours is
            # there, uids are equal and nothing conflicts.
            return

    async def fetch(self, kind: Kind, namespace: str, name: str) -> Manifest | None:
        try:
            found = await self._connection.request("GET", path_of(kind, namespace, name))
        except NotFound:
            return None
        return _typed(found, kind)

    async def find(
        self,
        kind: Kind,
        *,
        namespace: str = "",
        labels: Mapping[str, str] | None = None,
        fields: Mapping[str, str] | None = None,
    ) -> list[Manifest]:
        return list((await self._list(kind, namespace, labels, fields)).items)

    async def snapshot(self, kind: Kind, *, namespace: str = "", labels: Mapping[str, str] | None = None) -> Listing:
        return await self._list(kind, namespace, labels, None)

    async def _list(
        self, kind: Kind, namespace: str, labels: Mapping[str, str] | None, fields: Mapping[str, str] | None
    ) -> Listing:
        parameters = {"labelSelector": selector(labels), "fieldSelector": selector(fields)}
        path = with_query(path_of(kind, namespace), parameters)
        answer = await self._connection.request("GET", path, seconds=_LIST_SECONDS)
        items = tuple(_typed(item, kind) for item in answer.get("items") or ())
        return Listing(items, str(answer["metadata"].get("resourceVersion") or ""))

    async def annotate(self, kind: Kind, namespace: str, name: str, annotations: Mapping[str, str | None]) -> None:
        body = {"metadata": {"annotations": dict(annotations)}}
        path = with_query(path_of(kind, namespace, name), {"fieldManager": names.FIELD_MANAGER})
        try:
            await self._connection.request("PATCH", path, body, content_type=MERGE)
        except NotFound:
            return

    async def optional_kinds(self) -> Discovered:
        optional = {watched.optional: watched.kind for watched in CHILDREN if watched.optional is not None}
        served: dict[str, set[str]] = {}
        silent: dict[str, str] = {}
        for version in {kind.api_version for kind in optional.values()}:
            try:
                served[version] = await self._resources(f"/apis/{version}") or set()
            except ClusterError as error:
                silent[version] = str(error)
        return Discovered(
            frozenset(name for name, kind in optional.items() if kind.plural in served.get(kind.api_version, ())),
            {name: silent[kind.api_version] for name, kind in optional.items() if kind.api_version in silent},
        )

    async def custom_metrics(self) -> frozenset[str] | None:
        served = await self._resources(CUSTOM_METRICS)
        return None if served is None else frozenset(served)

    async def may(self, verb: str, kind: Kind, namespace: str = "") -> bool:
        attributes = {"verb": verb, "group": group_of(kind), "resource": kind.plural, "namespace": namespace}
        review = {
            "apiVersion": "authorization.k8s.io/v1",
            "kind": "SelfSubjectAccessReview",
            "spec": {"resourceAttributes": attributes},
        }
        try:
            answer = await self._connection.request("POST", _REVIEWS, review, counted_as=_REVIEW)
        except (Forbidden, NotFound):  # everybody may ask, unless a cluster's administrator took that away
            return True
        return bool((answer.get("status") or {}).get("allowed"))

    async def _resources(self, path: str) -> set[str] | None:
        """Discovery, which everybody may read; None where there is no such API."""
        try:
            answer = await self._connection.request("GET", path)
        except NotFound:
            return None
        return {str(resource["name"]) for resource in answer.get("resources") or ()}

    async def announce(self, regarding: Manifest, event: EventNote) -> None:
        posting = self._announcements.posting(regarding, event, self._now())
        namespace = regarding["metadata"]["namespace"]
        if posting.count > 1:
            path = path_of(EVENT, namespace, posting.name)
            try:
                await self._connection.request("PATCH", path, dict(posting.manifest), content_type=MERGE)
            except NotFound:
                self._announcements.forget(posting.name)
                posting = self._announcements.posting(regarding, event, self._now())
            else:
                return
        await self._connection.request("POST", path_of(EVENT, namespace), dict(posting.manifest))


def _path(manifest: Manifest, subresource: str = "") -> str:
    metadata = manifest["metadata"]
    return path_of(kind_of(manifest), metadata["namespace"], metadata["name"], subresource)


def _named(answer: dict[str, Any], sent: Manifest) -> dict[str, Any]:
    return {"apiVersion": sent["apiVersion"], "kind": sent["kind"], **answer}


def _typed(item: dict[str, Any], kind: Kind) -> dict[str, Any]:
    """Items of a list do not say what they are."""
    return {**item, "apiVersion": kind.api_version, "kind": kind.kind}
