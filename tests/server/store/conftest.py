"""A way to Redis on every topology, and the keys of a scope of its own."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.server.store.registries import TOPOLOGIES, linked, redis_settings
from timbre_contract.keys import ServiceKeys
from timbre_server.store.link import RedisLink


@pytest.fixture(params=TOPOLOGIES)
async def link(request: pytest.FixtureRequest) -> AsyncIterator[RedisLink]:
    """On each topology in turn."""
    async with linked(redis_settings(request.param, request)) as link:
        yield link


@pytest.fixture
def keys(scope: str) -> ServiceKeys:
    """Of a scope that no other test uses."""
    return ServiceKeys(scope)
