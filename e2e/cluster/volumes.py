"""Where do the cluster's volumes lie?  Makes, grows and removes folders of this machine for PersistentVolumeClaims.

Usage: volumes.py FOLDER NODE, with KUBECONFIG.  The volumes are of type ``local``, so that the kubelet gives them to a pod's
fsGroup as it does with a disk: a folder is root's until a pod asks otherwise.
"""

import logging
import queue
import shutil
import subprocess
import sys
import threading
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kubernetes import client, config, watch
from kubernetes.utils.quantity import parse_quantity
from urllib3.exceptions import HTTPError

PROVISIONER: Final = "timbre.dev/folder"
MEDIUM: Final = "medium"
"""Parameter of a class: Memory makes volumes that hold exactly what was asked for; else the disk's end is theirs."""
ASKED: Final = "volume.kubernetes.io/storage-provisioner"
CHOSEN_NODE: Final = "volume.kubernetes.io/selected-node"
MADE_BY: Final = "pv.kubernetes.io/provisioned-by"
PAUSE_SECONDS: Final = 0.5
"""Between a failure and the next try: an API server that starts anew is away for three seconds."""
FAILURES: Final = (client.ApiException, HTTPError, OSError, subprocess.CalledProcessError)

log = logging.getLogger("volumes")


@dataclass(frozen=True)
class Folders:
    """The machine's side."""

    root: Path

    def make(self, name: str, size_bytes: int, *, in_memory: bool) -> Path:
        """The volume's folder, of that size where it is in memory; the same again if it is there."""
        folder = self.root / name
        folder.mkdir(mode=0o755, parents=True, exist_ok=True)
        if in_memory:
            # Mounted already: then it gets this size and keeps its files.
            remount = "remount," if folder.is_mount() else ""
            options = f"{remount}size={size_bytes}" + ("" if remount else ",mode=0755")
            subprocess.run(["mount", "-t", "tmpfs", "-o", options, "tmpfs", str(folder)], check=True)
        return folder

    def remove(self, name: str) -> None:
        folder = self.root / name
        if folder.is_mount():
            subprocess.run(["umount", "--lazy", str(folder)], check=True)
        shutil.rmtree(folder, ignore_errors=True)


class Volumes:
    """The cluster's side: every look makes true what claims ask for now."""

    def __init__(self, folders: Folders, node: str) -> None:
        self._folders = folders
        self._node = node
        self.core = client.CoreV1Api()
        self._storage = client.StorageV1Api()

    def converge(self) -> None:
        """All of them."""
        claims = self.core.list_persistent_volume_claim_for_all_namespaces().items
        volumes = {volume.metadata.name: volume for volume in self.core.list_persistent_volume().items}
        for claim in claims:
            if (claim.metadata.annotations or {}).get(ASKED) != PROVISIONER:
                continue
            volume = volumes.get(_volume_name(claim))
            if volume is None and claim.status.phase == "Pending" and CHOSEN_NODE in claim.metadata.annotations:
                self._make(claim)
            elif volume is not None and claim.status.phase == "Bound":
                self._grow(claim, volume)
        for volume in volumes.values():
            ours = (volume.metadata.annotations or {}).get(MADE_BY) == PROVISIONER
            if ours and volume.status.phase == "Released" and volume.spec.persistent_volume_reclaim_policy == "Delete":
                log.info("removing %s", volume.metadata.name)
                self.core.delete_persistent_volume(volume.metadata.name)
                self._folders.remove(volume.metadata.name)

    def _make(self, claim: Any) -> None:
        name, size = _volume_name(claim), claim.spec.resources.requests["storage"]
        storage_class = self._storage.read_storage_class(claim.spec.storage_class_name)
        in_memory = (storage_class.parameters or {}).get(MEDIUM) == "Memory"
        folder = self._folders.make(name, int(parse_quantity(size)), in_memory=in_memory)
        log.info("made %s of %s for %s/%s", name, size, claim.metadata.namespace, claim.metadata.name)
        here = {"key": "kubernetes.io/hostname", "operator": "In", "values": [self._node]}
        self.core.create_persistent_volume(
            {
                "apiVersion": "v1",
                "kind": "PersistentVolume",
                "metadata": {
                    "name": name,
                    "annotations": {MADE_BY: PROVISIONER, MEDIUM: "Memory" if in_memory else "Disk"},
                },
                "spec": {
                    "capacity": {"storage": size},
                    "accessModes": claim.spec.access_modes,
                    "storageClassName": claim.spec.storage_class_name,
                    "persistentVolumeReclaimPolicy": storage_class.reclaim_policy,
                    "local": {"path": str(folder)},
                    "nodeAffinity": {"required": {"nodeSelectorTerms": [{"matchExpressions": [here]}]}},
                    "claimRef": {
                        "apiVersion": "v1",
                        "kind": "PersistentVolumeClaim",
                        "namespace": claim.metadata.namespace,
                        "name": claim.metadata.name,
                        "uid": claim.metadata.uid,
                    },
                },
            }
        )

    def _grow(self, claim: Any, volume: Any) -> None:
        wanted = claim.spec.resources.requests["storage"]
        if parse_quantity(wanted) <= parse_quantity((claim.status.capacity or {}).get("storage", "0")):
            return
        name = volume.metadata.name
        log.info("growing %s to %s", name, wanted)
        in_memory = volume.metadata.annotations[MEDIUM] == "Memory"
        self._folders.make(name, int(parse_quantity(wanted)), in_memory=in_memory)
        self.core.patch_persistent_volume(name, {"spec": {"capacity": {"storage": wanted}}})
        self.core.patch_namespaced_persistent_volume_claim_status(
            claim.metadata.name, claim.metadata.namespace, {"status": {"capacity": {"storage": wanted}}}
        )


def _volume_name(claim: Any) -> str:
    return f"pvc-{claim.metadata.uid}"


def _report_changes(list_method: Any, changes: "queue.Queue[None]") -> None:
    """Puts a token for every change, for ever; a watch that ends is begun anew."""
    while True:
        try:
            for _ in watch.Watch().stream(list_method, timeout_seconds=300):
                changes.put(None)
        except FAILURES as error:
            log.warning("watch ended: %s", error)
            time.sleep(PAUSE_SECONDS)
        changes.put(None)


def main(folder: str, node: str) -> None:
    """Until it is killed."""
    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(message)s", stream=sys.stdout)
    config.load_kube_config()
    volumes = Volumes(Folders(Path(folder)), node)
    changes: queue.Queue[None] = queue.Queue()
    for method in (volumes.core.list_persistent_volume_claim_for_all_namespaces, volumes.core.list_persistent_volume):
        threading.Thread(target=_report_changes, args=(method, changes), daemon=True).start()
    while True:
        changes.get()
        while not changes.empty():
            changes.get_nowait()
        try:
            volumes.converge()
        except FAILURES as error:
            log.warning("will try again: %s", error)
            time.sleep(PAUSE_SECONDS)
            changes.put(None)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
