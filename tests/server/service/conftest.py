"""The services, running over a quick stub engine."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.server.service.parts import Parts, built_parts
from timbre_server.engine.stub import StubEngine


def quick_engine() -> StubEngine:
    return StubEngine(sleep=lambda _: None)


@pytest.fixture
async def parts() -> AsyncIterator[Parts]:
    async with built_parts(quick_engine()) as built:
        yield built


@pytest.fixture
async def strict() -> AsyncIterator[Parts]:
    """The services of a server that requires consents."""
    async with built_parts(quick_engine(), require_consent=True) as built:
        yield built
