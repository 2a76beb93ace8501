"""A served API and its clients; one per module, because a server takes a moment to start."""

from __future__ import annotations

from collections.abc import Iterator

import httpx2
import pytest
from openai import OpenAI

from tests.server.api.served import Served, running


@pytest.fixture(scope="module")
def served() -> Iterator[Served]:
    with running(Served()) as server:
        yield server


@pytest.fixture
def fresh() -> Iterator[Served]:
    """A server that has served nobody yet, for what counts or changes."""
    with running(Served()) as server:
        yield server


@pytest.fixture(scope="module")
def client(served: Served) -> Iterator[OpenAI]:
    with served.client() as openai_client:
        yield openai_client


@pytest.fixture(scope="module")
def http(served: Served) -> Iterator[httpx2.Client]:
    with served.http() as plain_client:
        yield plain_client
