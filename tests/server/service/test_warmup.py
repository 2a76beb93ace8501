"""Warm-up: the listed or the hottest voices, under a deadline, never at the price of readiness."""

import asyncio
from collections.abc import Callable, Sequence

import pytest

from tests.virtual_time import in_virtual_time
from timbre_contract.api import WarmUpOutcome
from timbre_server.domain.voice import VoiceRecord
from timbre_server.errors import StoreUnavailable
from timbre_server.ports import FeatureName, VoiceName
from timbre_server.service.warmup import WarmUp
from timbre_server.store import InMemoryVoiceStore
from timbre_server.voicecache import TieredFeatureCache


class Popularity:
    """``Heat`` as told."""

    def __init__(self, *names: str, away: bool = False) -> None:
        self.names = [VoiceName("tenant", name) for name in names]
        self.away = away

    def used(self, name: VoiceName) -> None: ...

    def cooled(self, name: VoiceName) -> None: ...

    async def hottest(self, count: int) -> Sequence[VoiceName]:
        if self.away:
            raise StoreUnavailable("away")
        return self.names[:count]


class Shelf(TieredFeatureCache):
    """A cache that notes what it shall prefetch, has all of ``stocked``, and takes ``seconds`` for each 16 voices."""

    def __init__(self, *stocked: str, seconds: float = 0.0) -> None:
        self.stocked = stocked
        self.seconds = seconds
        self.wanted: list[FeatureName] = []

    async def prefetch(self, names: Sequence[FeatureName], *, told: Callable[[int], None] = print) -> int:
        kept = 0
        for start in range(0, len(names), 16):
            step = names[start : start + 16]
            await asyncio.wait({asyncio.create_task(_lasting(self.seconds))})
            self.wanted += step
            kept += sum(name.digest in self.stocked for name in step)
            told(kept)
        return kept


async def _lasting(seconds: float) -> None:
    loop = asyncio.get_running_loop()
    over = loop.create_future()
    loop.call_later(seconds, over.set_result, None)
    await over


async def a_store(*names: str) -> InMemoryVoiceStore:
    """Voices whose recordings have the digest ``digest of <name>``."""
    store = InMemoryVoiceStore(1 << 20)
    for name in names:
        record = VoiceRecord(name, "tenant", name, 0, f"digest of {name}", 0, 0, transcript=f"says {name}")
        await store.add_voice(record, b"flac")
    return store


def digest_of(name: str) -> str:
    return f"digest of {name}"


def a_warmup(store: InMemoryVoiceStore, shelf: Shelf, heat: Popularity | None, **options: object) -> WarmUp:
    return WarmUp(store=store, features=shelf, heat=heat, **({"voices": 15} | options))  # type: ignore[arg-type]


@in_virtual_time
async def test_the_hottest_voices_are_loaded_hottest_first() -> None:
    shelf = Shelf(digest_of("a"), digest_of("b"))
    warmup = a_warmup(await a_store("a", "b", "c"), shelf, Popularity("b", "a", "c"), voices=2)
    assert warmup.outcome == WarmUpOutcome.RUNNING
    assert await warmup.run(lambda _: None) == 2
    assert warmup.outcome == WarmUpOutcome.COMPLETED
    assert shelf.wanted == [FeatureName(digest_of(name), f"says {name}") for name in "ba"]


@in_virtual_time
async def test_listed_voices_go_before_hot_ones() -> None:
    shelf = Shelf(digest_of("c"))
    warmup = a_warmup(await a_store("a", "c"), shelf, Popularity("a"), listed=[VoiceName("tenant", "c")])
    assert await warmup.run(lambda _: None) == 1
    assert [name.digest for name in shelf.wanted] == [digest_of("c")]


@in_virtual_time
async def test_voices_that_are_no_more_are_passed_over() -> None:
    shelf = Shelf(digest_of("a"))
    assert await a_warmup(await a_store("a"), shelf, Popularity("deleted", "a")).run(lambda _: None) == 1
    assert [name.digest for name in shelf.wanted] == [digest_of("a")]


@in_virtual_time
async def test_two_voices_of_one_recording_are_loaded_once() -> None:
    shelf, store = Shelf(digest_of("a")), await a_store("a")
    await store.add_voice(VoiceRecord("b", "tenant", "b", 0, digest_of("a"), 0, 0, transcript="says a"), b"flac")
    assert await a_warmup(store, shelf, Popularity("a", "b")).run(lambda _: None) == 1
    assert len(shelf.wanted) == 1


@in_virtual_time
async def test_it_says_why_it_waits() -> None:
    names = [f"voice {number:02}" for number in range(20)]
    shelf = Shelf(*map(digest_of, names))
    reasons: list[str] = []
    await a_warmup(await a_store(*names), shelf, Popularity(*names), voices=20).run(reasons.append)
    assert reasons == ["warming: 0 of 20 voices", "warming: 16 of 20 voices", "warming: 20 of 20 voices"]


@in_virtual_time
async def test_the_deadline_ends_it_with_what_it_has() -> None:
    names = [f"voice {number:02}" for number in range(40)]
    shelf = Shelf(*map(digest_of, names), seconds=4.0)
    warmup = a_warmup(await a_store(*names), shelf, Popularity(*names), voices=40, deadline_seconds=10.0)
    assert await warmup.run(lambda _: None) == 32
    assert asyncio.get_running_loop().time() == 10.0
    assert warmup.outcome == WarmUpOutcome.CUT_OFF


@in_virtual_time
async def test_a_store_that_is_away_keeps_nobody_from_getting_ready() -> None:
    warmup = a_warmup(await a_store("a"), Shelf(), Popularity("a", away=True))
    assert await warmup.run(lambda _: None) == 0
    assert warmup.outcome == WarmUpOutcome.NO_STORE


@pytest.mark.parametrize(("heat", "voices"), [(None, 15), (Popularity("a"), 0)])
def test_nothing_to_load_asks_nobody(heat: Popularity | None, voices: int) -> None:
    @in_virtual_time
    async def scene() -> None:
        shelf = Shelf(digest_of("a"))
        assert await a_warmup(await a_store("a"), shelf, heat, voices=voices).run(lambda _: None) == 0
        assert shelf.wanted == []

    scene()
