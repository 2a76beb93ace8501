"""The fake of these tests keeps what the port promises."""

import pytest

from tests.server.resultcache.shared_memory import SharedMemory, World
from tests.server.store.results_conformance import Make, SharedResultsConformance


class TestSharedMemory(SharedResultsConformance):
    @pytest.fixture
    def make(self) -> Make:
        world = World()
        return lambda: SharedMemory(world)
