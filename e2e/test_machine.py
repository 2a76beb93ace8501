"""Is the machine as before once the cluster is gone?"""

from __future__ import annotations

import pytest

from e2e.local_cluster import LocalCluster
from e2e.machine_state import MachineState


@pytest.mark.short
@pytest.mark.last
def test_nothing_is_left_of_the_cluster(cluster: LocalCluster) -> None:
    if cluster.before is None or not cluster.ends_with_tests:
        pytest.skip("the cluster ran before the tests, is not ours, or is kept: it goes on")
    cluster.down()
    assert cluster.before.differences(MachineState.now(cluster.folder)) == {}
