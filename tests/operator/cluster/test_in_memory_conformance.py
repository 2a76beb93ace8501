"""What every cluster promises, on the one in memory that tests of turns use."""

from __future__ import annotations

import pytest

from tests.operator.cluster.conformance import *  # noqa: F403 - the whole suite
from tests.operator.reconciler.cluster_in_memory import ClusterInMemory


@pytest.fixture
def cluster() -> ClusterInMemory:
    return ClusterInMemory()


@pytest.fixture
def namespace() -> str:
    return "studio"
