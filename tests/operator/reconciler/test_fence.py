"""Without the lease nothing is written."""

from __future__ import annotations

from typing import Any

import pytest

from tests.operator.manifests import a_service
from tests.operator.reconciler.cluster_in_memory import ClusterInMemory
from timbre_operator.errors import NotLeading
from timbre_operator.kinds import POD, VOICE_SERVICE
from timbre_operator.ports import EventNote
from timbre_operator.reconciler.fence import FencedCluster

SERVICE: dict[str, Any] = a_service().manifest
NEW = SERVICE | {"metadata": {"name": "narrator", "namespace": "studio"}}
WRITES = {
    "apply": lambda cluster: cluster.apply(NEW, manager="x"),
    "create": lambda cluster: cluster.create(SERVICE),
    "delete": lambda cluster: cluster.delete(SERVICE),
    "annotate": lambda cluster: cluster.annotate(POD, "studio", "x", {}),
    "announce": lambda cluster: cluster.announce(SERVICE, EventNote("Normal", "A", "b")),
}


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_without_the_lease_does_not_leave_the_process(write: str) -> None:
    cluster = ClusterInMemory()
    with pytest.raises(NotLeading):
        await WRITES[write](FencedCluster(cluster, lambda: False))
    assert not cluster.calls


@pytest.mark.parametrize("write", WRITES)
async def test_a_write_with_the_lease_goes_through(write: str) -> None:
    cluster = ClusterInMemory()
    await WRITES[write](FencedCluster(cluster, lambda: True))
    assert cluster.writes() == 1


async def test_everybody_may_read() -> None:
    fenced = FencedCluster(ClusterInMemory(), lambda: False)
    assert await fenced.fetch(VOICE_SERVICE, "studio", "narrator") is None
    assert await fenced.find(POD) == []
    assert (await fenced.snapshot(POD)).items == ()
    assert await fenced.custom_metrics() is None
    assert (await fenced.optional_kinds()).kinds
