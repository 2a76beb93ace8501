"""What every voice store promises, on the one that answers from memory."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.server.store.pods import Pod, running
from tests.server.store.registries import redis_settings
from tests.server.store.test_conformance import *  # noqa: F403 - the whole suite, on another store
from timbre_server.ports import VoiceStore


@pytest.fixture
async def store(request: pytest.FixtureRequest, scope: str) -> AsyncIterator[VoiceStore]:
    pod = Pod(redis_settings("redis", request), scope)
    async with running(pod):
        yield pod.store
