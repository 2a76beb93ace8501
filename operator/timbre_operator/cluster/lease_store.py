"""Where does the Lease of the operators lie?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from timbre_operator.cluster.connection import Connection
from timbre_operator.cluster.paths import path_of
from timbre_operator.errors import NotFound
from timbre_operator.kinds import LEASE

_SECONDS: Final = 4.0
"""Two rounds of read and write fit into the ten seconds of a renewal."""


class ApiLeaseStore:
    """One Lease on the API server."""

    def __init__(self, connection: Connection, namespace: str, name: str) -> None:
        self._connection = connection
        self._all = path_of(LEASE, namespace)
        self._one = path_of(LEASE, namespace, name)
        self._metadata = {"namespace": namespace, "name": name}

    async def read(self) -> Mapping[str, Any] | None:
        try:
            return await self._connection.request("GET", self._one, seconds=_SECONDS)
        except NotFound:
            return None

    async def create(self, spec: Mapping[str, Any]) -> Mapping[str, Any]:
        return await self._connection.request("POST", self._all, self._lease(spec, {}), seconds=_SECONDS)

    async def replace(self, found: Mapping[str, Any], spec: Mapping[str, Any]) -> Mapping[str, Any]:
        version = {"resourceVersion": found["metadata"]["resourceVersion"]}
        return await self._connection.request("PUT", self._one, self._lease(spec, version), seconds=_SECONDS)

    def _lease(self, spec: Mapping[str, Any], version: Mapping[str, str]) -> dict[str, Any]:
        return {
            "apiVersion": LEASE.api_version,
            "kind": LEASE.kind,
            "metadata": {**self._metadata, **version},
            "spec": dict(spec),
        }
