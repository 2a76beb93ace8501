"""Voice stores on every implementation and topology, and what tests keep in them."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import pytest

from tests.redis_server import RedisServer
from timbre_contract.keys import ServiceKeys
from timbre_server.domain.voice import ConsentRecord, VoiceRecord
from timbre_server.ports import VoiceStore
from timbre_server.settings import RedisSettings
from timbre_server.store import InMemoryVoiceStore
from timbre_server.store.link import RedisLink
from timbre_server.store.redis_voices import RedisVoiceStore

TOPOLOGIES = ("redis", "cluster", "sentinel", "tls")

UNHURRIED = {
    "connect_timeout_seconds": 10.0,
    "read_timeout_seconds": 10.0,
    "write_timeout_seconds": 20.0,
    "request_budget_seconds": 10.0,
    "wait_timeout_seconds": 10.0,
}
"""For tests of what is promised rather than of how fast: a busy machine fails none of them."""


def unhurried(server: RedisServer) -> RedisSettings:
    """Settings that lead to one plain server, in no hurry."""
    return RedisSettings(url=server.url).model_copy(update=UNHURRIED)


def redis_settings(topology: str, request: pytest.FixtureRequest) -> RedisSettings:
    """Settings that lead to the server of a fixture, in no hurry."""
    if topology == "redis":
        return unhurried(request.getfixturevalue("redis_server"))
    settings: RedisSettings = request.getfixturevalue(f"redis_{topology}").settings
    return settings.model_copy(update=UNHURRIED)


@asynccontextmanager
async def linked(settings: RedisSettings) -> AsyncIterator[RedisLink]:
    """A started link, closed at the end."""
    link = RedisLink(settings)
    try:
        await link.start()
        yield link
    finally:
        await link.close()


@asynccontextmanager
async def opened(kind: str, request: pytest.FixtureRequest, scope: str) -> AsyncIterator[VoiceStore]:
    """An empty store: ``memory`` or one of the topologies."""
    if kind == "memory":
        yield InMemoryVoiceStore(max_bytes=1 << 30)
        return
    async with linked(redis_settings(kind, request)) as link:
        yield RedisVoiceStore(link, ServiceKeys(scope))


def a_voice(voice_id: str = "voice_1", tenant: str = "default", digest: str = "", generation: int = 1) -> VoiceRecord:
    return VoiceRecord(
        id=voice_id,
        tenant=tenant,
        name="Ada Lövelace",
        generation=generation,
        digest=digest or f"digest-{voice_id}",
        created_at=100,
        updated_at=100,
        transcript="Guten Tag",
        consent_id="cons_1",
    )


def a_consent(consent_id: str = "cons_1", tenant: str = "default", size: int = 10) -> ConsentRecord:
    return ConsentRecord(consent_id, tenant, "Ada", "en-US", 100, b"\x00\xff" * (size // 2), b"\x01\x00\xfe")
