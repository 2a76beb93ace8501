"""The host tier: bounded in bytes, one extraction for all who ask, nothing kept that was erased."""

import asyncio
from collections import Counter
from collections.abc import Sequence

import numpy as np
import pytest

from tests.server.voicecache.descriptors import DESCRIPTOR
from timbre_server.domain.pcm import Pcm
from timbre_server.domain.voice import Features, Reference
from timbre_server.errors import EngineError
from timbre_server.ports import FeatureName
from timbre_server.voicecache import HostFeatureCache

ENTRY_BYTES = 100


class Recorder:
    """Counts what the cache reports."""

    def __init__(self) -> None:
        self.events: Counter[str] = Counter()

    def voice_looked_up(self, tier: str, *, hit: bool) -> None:
        self.events["hit" if hit else "miss"] += 1

    def voice_evicted(self, tier: str, cause: str) -> None:
        self.events[cause] += 1

    def voice_extracted(self, seconds: float) -> None:
        self.events["extracted"] += 1


class GatedExtraction:
    """The extracting half of a dispatcher whose extractions wait for ``gate``."""

    def __init__(self, failures: Sequence[Exception] = ()) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.started = asyncio.Event()
        self.failures = list(failures)
        self.extracted: list[str] = []

    async def extract(self, reference: Reference) -> Features:
        self.extracted.append(reference.digest)
        self.started.set()
        await self.gate.wait()
        if self.failures:
            raise self.failures.pop()
        return {"vector": np.zeros(25, np.float32)}


def a_cache(engine: GatedExtraction, max_entries: int = 2) -> tuple[HostFeatureCache, Recorder]:
    recorder = Recorder()
    cache = HostFeatureCache(DESCRIPTOR, engine, max_bytes=max_entries * ENTRY_BYTES, observer=recorder)
    return cache, recorder


async def ask(cache: HostFeatureCache, digest: str) -> str:
    pcm = Pcm(np.zeros(10, np.float32), 24_000)

    async def load() -> Reference:
        return Reference(pcm, digest)

    found = await cache.features(FeatureName(digest), load)
    cache.check_integrity()
    return found.source


async def test_the_second_look_up_hits() -> None:
    cache, recorder = a_cache(GatedExtraction())
    assert [await ask(cache, "a"), await ask(cache, "a")] == ["extracted", "host"]
    assert recorder.events == {"miss": 1, "extracted": 1, "hit": 1}


async def test_the_longest_unused_voice_makes_room() -> None:
    cache, recorder = a_cache(GatedExtraction())
    for digest in ("a", "b", "a", "c"):
        await ask(cache, digest)
    assert [await ask(cache, "a"), await ask(cache, "b")] == ["host", "extracted"]
    assert recorder.events["capacity"] == 2
    assert cache.held_bytes == 2 * ENTRY_BYTES


async def test_a_value_larger_than_the_budget_is_served_but_not_kept() -> None:
    cache, _ = a_cache(GatedExtraction(), max_entries=0)
    assert [await ask(cache, "a"), await ask(cache, "a")] == ["extracted", "extracted"]


async def test_callers_at_once_share_one_extraction() -> None:
    engine = GatedExtraction()
    cache, _ = a_cache(engine)
    assert set(await asyncio.gather(*(ask(cache, "a") for _ in range(20)))) == {"extracted"}
    assert engine.extracted == ["a"]


async def test_a_caller_who_leaves_does_not_stop_the_extraction_for_the_others() -> None:
    engine = GatedExtraction()
    engine.gate.clear()
    cache, _ = a_cache(engine)
    leaver, stayer = (asyncio.create_task(ask(cache, "a")) for _ in range(2))
    await engine.started.wait()
    leaver.cancel()
    engine.gate.set()
    assert await stayer == "extracted"
    assert engine.extracted == ["a"]


async def test_a_failed_extraction_reaches_all_who_asked_and_is_tried_anew() -> None:
    cache, _ = a_cache(GatedExtraction(failures=[EngineError("broken")]))
    results = await asyncio.gather(ask(cache, "a"), ask(cache, "a"), return_exceptions=True)
    assert [type(result) for result in results] == [EngineError, EngineError]
    assert await ask(cache, "a") == "extracted"


async def test_a_forgotten_voice_is_extracted_anew() -> None:
    cache, recorder = a_cache(GatedExtraction())
    await ask(cache, "a")
    await ask(cache, "b")
    cache.forget("a")
    cache.check_integrity()
    assert [await ask(cache, "b"), await ask(cache, "a")] == ["host", "extracted"]
    assert recorder.events["erased"] == 1


async def test_a_voice_forgotten_in_mid_extraction_is_not_kept() -> None:
    engine = GatedExtraction()
    engine.gate.clear()
    cache, _ = a_cache(engine)
    asking = asyncio.create_task(ask(cache, "a"))
    await engine.started.wait()
    cache.forget("a")
    engine.gate.set()
    assert await asking == "extracted"
    assert cache.held_bytes == 0
    cache.held_bytes = 1
    with pytest.raises(AssertionError):
        cache.check_integrity()
