"""Volumes for claims, as a storage driver makes, grows and removes them; folders of this machine."""

from __future__ import annotations

import contextlib
import shutil
from pathlib import Path
from typing import Final

from tests.cluster.api import Api, ApiError, Event, Object
from timbre_operator.voiceservice.measures import quantity

STORAGE_CLASS: Final = "standard"
PROVISIONER: Final = "test.timbre.dev/folders"
OTHER_CLASS: Final = "fast"
"""Of another name, to be chosen by a test."""


def build_storage_classes() -> list[Object]:
    """The default one, and another one; volumes of both can grow and go with their claims."""
    return [
        {
            "apiVersion": "storage.k8s.io/v1",
            "kind": "StorageClass",
            "metadata": {
                "name": name,
                "annotations": {"storageclass.kubernetes.io/is-default-class": str(name == STORAGE_CLASS).lower()},
            },
            "provisioner": PROVISIONER,
            "reclaimPolicy": "Delete",
            "allowVolumeExpansion": True,
        }
        for name in (STORAGE_CLASS, OTHER_CLASS)
    ]


class FakeVolumes:
    """For the claims of one namespace; told about them by ``see``."""

    def __init__(self, api: Api, folder: Path) -> None:
        self._api, self._folder = api, folder
        self.claims: dict[str, Object] = {}
        self._made: dict[str, Object] = {}

    def unbound(self) -> list[str]:
        """Names of the claims that have no volume."""
        return [name for name, claim in self.claims.items() if claim["status"].get("phase") != "Bound"]

    def folder_of(self, claim: str) -> Path:
        """What a claim's volume holds."""
        return self._folder / _name(self.claims[claim])

    async def see(self, event: Event) -> None:
        """One change of a claim."""
        claim = event.object
        name = claim["metadata"]["name"]
        if event.type == "DELETED":
            self.claims.pop(name, None)
            await self._remove(claim)
            return
        self.claims[name] = claim
        asked = claim["spec"]["resources"]["requests"]["storage"]
        if claim["status"].get("phase") != "Bound":
            await self._provision(claim, asked)
        elif quantity(asked) > quantity(claim["status"]["capacity"]["storage"]):
            await self._grow(claim, asked)

    async def close(self) -> None:
        """No volume is left behind."""
        for volume in self._made.values():
            await self._api.delete(volume)
            with contextlib.suppress(ApiError):  # nothing guards a volume of a cluster that goes
                await self._api.patch(volume, {"metadata": {"finalizers": None}})

    async def _provision(self, claim: Object, size: str) -> None:
        metadata = claim["metadata"]
        name = _name(claim)
        if name in self._made or claim["spec"].get("storageClassName") not in (STORAGE_CLASS, OTHER_CLASS):
            return
        path = self._folder / name
        path.mkdir(parents=True)
        self._made[name] = await self._api.create(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {"name": name},
                "spec": {
                    "capacity": {"storage": size},
                    "accessModes": claim["spec"]["accessModes"],
                    "persistentVolumeReclaimPolicy": "Retain",  # it is removed here, when the claim goes
                    "storageClassName": claim["spec"]["storageClassName"],
                    "claimRef": {
                        "kind": "PersistentVolumeClaim",
                        **{part: metadata[part] for part in ("name", "namespace", "uid")},
                    },
                    "hostPath": {"path": str(path)},
                },
            }
        )

    async def _grow(self, claim: Object, size: str) -> None:
        volume = self._made[claim["spec"]["volumeName"]]
        await self._api.patch(volume, {"spec": {"capacity": {"storage": size}}})
        await self._api.patch(claim, {"status": {"capacity": {"storage": size}}}, "status")

    async def _remove(self, claim: Object) -> None:
        volume = self._made.pop(claim["spec"].get("volumeName", ""), None)
        if volume is not None:
            await self._api.delete(volume)
            shutil.rmtree(volume["spec"]["hostPath"]["path"], ignore_errors=True)


def _name(claim: Object) -> str:
    """Of its volume."""
    return f"volume-{claim['metadata']['uid']}"
