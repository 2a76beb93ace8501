"""What the admin port tells of the voices in memory, and how much of it they may take."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any, cast

import numpy as np
import pytest

from tests.server.voicecache.descriptors import DESCRIPTOR
from timbre_contract.api import HOTTEST_FIELD, MAX_HOTTEST
from timbre_server.app import tiers as app_tiers
from timbre_server.app.tiers import FeatureTiers, build_tiers
from timbre_server.batching import BatchingDispatcher
from timbre_server.domain.pcm import Pcm
from timbre_server.domain.voice import Features, Reference
from timbre_server.ports import FeatureName
from timbre_server.settings import VoiceCacheSettings
from timbre_server.telemetry.metrics import Metrics
from timbre_server.voicecache.container_memory import ContainerMemory


class Extractor:
    """The extracting half of a dispatcher."""

    async def extract(self, reference: Reference, *, begun: Callable[[], None] | None = None) -> Features:
        del begun
        return {"embedding": np.full(256, len(reference.digest), np.float32)}


@asynccontextmanager
async def some_tiers(**settings: Any) -> AsyncIterator[FeatureTiers]:
    dispatcher = cast("BatchingDispatcher", Extractor())
    tiers = build_tiers(
        DESCRIPTOR, dispatcher, None, VoiceCacheSettings(**settings), Metrics(), transferred=lambda _seconds: None
    )
    try:
        yield tiers
    finally:
        await tiers.stop()


async def ask(tiers: FeatureTiers, digest: str, times: int = 1, *, one_off: bool = False) -> None:
    async def load() -> Reference:
        return Reference(Pcm(np.zeros(24_000, np.float32), 24_000), digest)

    for _ in range(times):
        (await tiers.cache.features(FeatureName(digest), load, one_off=one_off)).release()


def hottest(tiers: FeatureTiers) -> list[tuple[str, float]]:
    listed = json.loads(json.dumps(tiers.report()))[HOTTEST_FIELD]
    return [(voice["digest"], round(voice["heat"])) for voice in listed]


async def test_the_hottest_voices_in_memory_are_listed_by_their_recordings() -> None:
    async with some_tiers() as tiers:
        await ask(tiers, "rare")
        await ask(tiers, "hot", 3)
        await ask(tiers, "came with its request", 5, one_off=True)

        assert hottest(tiers) == [("hot", 3), ("rare", 1)]


async def test_a_voice_that_is_no_longer_held_is_not_listed() -> None:
    async with some_tiers() as tiers:
        await ask(tiers, "erased", 3)
        await ask(tiers, "kept")
        tiers.cache.forget("erased")

        assert hottest(tiers) == [("kept", 1)]


async def test_what_was_set_is_held_against_the_limit_of_the_container(monkeypatch: pytest.MonkeyPatch) -> None:
    limit = ContainerMemory(limit_bytes=300 << 20, used_bytes=100 << 20)
    monkeypatch.setattr(app_tiers, "container_memory", lambda: limit)
    async with some_tiers(host_max_bytes=1 << 30) as tiers:
        tiers.start()
        assert tiers.host.capacity_bytes == 100 << 20, "half of what is left"


async def test_the_list_is_bounded() -> None:
    async with some_tiers() as tiers:
        for number in range(MAX_HOTTEST + 10):
            await ask(tiers, f"voice {number}")

        assert len(hottest(tiers)) == MAX_HOTTEST
