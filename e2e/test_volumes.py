"""Are the cluster's volumes what a cloud's are: their group's by fsGroup, growing, full when they are full?"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from e2e.kubectl import Kubectl, eventually
from e2e.local_cluster import LocalCluster
from e2e.pods import WAIT, pod, wait_ready

Images = Mapping[str, str]
MEBIBYTE = 1 << 20


@pytest.fixture(autouse=True)
def _own_cluster(cluster: LocalCluster) -> None:
    if cluster.lent:
        pytest.skip("volumes of a cluster that is not ours")


def claim(storage_class: str, size: str) -> dict[str, Any]:
    return {
        "apiVersion": "v1",
        "kind": "PersistentVolumeClaim",
        "metadata": {"name": "data"},
        "spec": {
            "accessModes": ["ReadWriteOnce"],
            "storageClassName": storage_class,
            "resources": {"requests": {"storage": size}},
        },
    }


def writer(images: Images) -> dict[str, Any]:
    """A pod of user and group 65532, whose fsGroup is 65532 too, with the volume at /data."""
    return pod(
        "writer",
        images["operator"],
        WAIT,
        mounts=[{"name": "data", "mountPath": "/data"}],
        volumes=[{"name": "data", "persistentVolumeClaim": {"claimName": "data"}}],
    )


def test_volume_is_root_s_folder_that_fs_group_may_write(namespace: Kubectl, images: Images) -> None:
    namespace.apply(claim("standard", "1Gi"), writer(images))
    wait_ready(namespace, "writer")

    look = "import os; s = os.stat('/data'); open('/data/x', 'w').close(); print(s.st_uid, s.st_gid, oct(s.st_mode & 0o777))"
    assert namespace.python("writer", look).split() == ["0", "65532", "0o775"]


def test_volume_in_memory_is_full_at_its_size_and_grows_with_its_claim(namespace: Kubectl, images: Images) -> None:
    namespace.apply(claim("memory", "4Mi"), writer(images))
    wait_ready(namespace, "writer")
    fill = f"""
try:
    with open("/data/x", "ab") as file:
        for _ in range(16):
            file.write(bytes({MEBIBYTE}))
            file.flush()
except OSError as error:
    print(error.errno)
import os
print(os.path.getsize("/data/x"))
"""
    assert namespace.python("writer", fill).split() == ["28", str(4 * MEBIBYTE)]  # ENOSPC

    namespace.apply(claim("memory", "8Mi"))
    eventually(
        lambda: namespace.json("get", "pvc", "data")["status"]["capacity"]["storage"],
        lambda size: size == "8Mi",
        seconds=10,
    )

    assert namespace.python("writer", fill).split() == ["28", str(8 * MEBIBYTE)]


def test_released_volume_is_removed(namespace: Kubectl, images: Images, cluster: LocalCluster) -> None:
    namespace.apply(claim("memory", "4Mi"), writer(images))
    wait_ready(namespace, "writer")
    name = namespace.json("get", "pvc", "data")["spec"]["volumeName"]
    folder = cluster.folder / "state/volumes" / name
    assert folder.is_dir()

    namespace("delete", "pod/writer", "pvc/data")

    eventually(lambda: not folder.exists(), seconds=20, what="the end of the volume's folder")
    assert not namespace.items("persistentvolumes", f"--field-selector=metadata.name={name}")
