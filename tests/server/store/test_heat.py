"""Popularity on a real Redis: uses add up over pods, old ones count less, and losing Redis loses no counts."""

import asyncio
import math
import time

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from tests.redis_server import RedisServer
from tests.server.store.registries import linked, unhurried
from tests.virtual_time import in_virtual_time
from timbre_contract.keys import ServiceKeys
from timbre_server.errors import StoreUnavailable
from timbre_server.ports import VoiceName
from timbre_server.settings import RedisSettings
from timbre_server.store import heat as heat_module
from timbre_server.store.heat import RedisHeat
from timbre_server.store.link import RedisLink

HALF_LIFE_SECONDS = 1000.0
ANNA, BERT, CARA = (VoiceName("tenant", name) for name in ("voice_anna", "voice_bert", "voice_cara"))


def a_heat(link: RedisLink, keys: ServiceKeys) -> RedisHeat:
    return RedisHeat(link, keys, half_life_seconds=HALF_LIFE_SECONDS)


async def flushed(heat: RedisHeat, **uses: int) -> None:
    for name, count in uses.items():
        for _ in range(count):
            heat.used(VoiceName("tenant", f"voice_{name}"))
    await heat.flush()


def seconds_ago(seconds: float) -> float:
    """By this machine's clock, which is that of its servers."""
    return time.time() - seconds


async def test_uses_of_all_pods_add_up(link: RedisLink, keys: ServiceKeys) -> None:
    one, other = a_heat(link, keys), a_heat(link, keys)
    await flushed(one, anna=3, bert=4)
    await flushed(other, anna=3, cara=1)
    assert await one.hottest(10) == [ANNA, BERT, CARA]
    assert await other.hottest(2) == [ANNA, BERT]


async def test_a_use_counts_half_after_a_half_life(link: RedisLink, keys: ServiceKeys) -> None:
    # 7 uses two half lives ago are 1.75 uses now, and 9 are 2.25.
    long_ago = seconds_ago(2 * HALF_LIFE_SECONDS)
    old = {
        "tenant/voice_anna": long_ago + HALF_LIFE_SECONDS * math.log2(9),
        "tenant/voice_cara": long_ago + HALF_LIFE_SECONDS * math.log2(7),
    }
    await link.write(lambda client: client.zadd(keys.heat(), old))
    heat = a_heat(link, keys)
    await flushed(heat, bert=2)
    assert await heat.hottest(3) == [ANNA, BERT, CARA]


@settings(max_examples=20, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(flushes=st.lists(st.integers(1, 40), min_size=1, max_size=6))
async def test_the_score_is_that_of_all_uses_together(link: RedisLink, keys: ServiceKeys, flushes: list[int]) -> None:
    await link.write(lambda client: client.delete(keys.heat()))
    heat = a_heat(link, keys)
    for count in flushes:
        await flushed(heat, anna=count)
    score = await link.read(lambda client: client.zscore(keys.heat(), "tenant/voice_anna"))
    uses = 2 ** ((score - seconds_ago(0)) / HALF_LIFE_SECONDS)
    assert uses == pytest.approx(sum(flushes), rel=0.01)  # a second passes at most: 0.07 % of a half life


async def test_a_deleted_voice_is_forgotten(link: RedisLink, keys: ServiceKeys) -> None:
    heat = a_heat(link, keys)
    await flushed(heat, anna=2, bert=1)
    heat.used(ANNA)
    heat.cooled(ANNA)
    await heat.flush()
    assert await heat.hottest(10) == [BERT]


async def test_the_coldest_go_when_there_are_too_many(
    link: RedisLink, keys: ServiceKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heat_module, "MAX_VOICES", 2)
    one, other = a_heat(link, keys), a_heat(link, keys)
    await flushed(one, anna=3, bert=1, cara=5)  # here only two are counted at all
    await flushed(other, cara=2)
    assert await one.hottest(10) == [ANNA, CARA]


async def test_popularity_has_a_life_time(link: RedisLink, keys: ServiceKeys) -> None:
    await flushed(a_heat(link, keys), anna=1)
    assert HALF_LIFE_SECONDS < await link.read(lambda client: client.ttl(keys.heat())) <= 10 * HALF_LIFE_SECONDS


async def test_a_tenant_may_have_a_slash_in_its_name(link: RedisLink, keys: ServiceKeys) -> None:
    heat = a_heat(link, keys)
    heat.used(VoiceName("a/b", "voice_1"))
    await heat.flush()
    assert await heat.hottest(1) == [VoiceName("a/b", "voice_1")]


async def test_nothing_used_costs_nothing(keys: ServiceKeys) -> None:
    link = RedisLink(RedisSettings(url="redis://127.0.0.1:1"))
    await a_heat(link, keys).flush()
    await link.close()


async def test_counts_survive_that_redis_is_away(redis_server: RedisServer, keys: ServiceKeys) -> None:
    server = RedisServer()
    link = RedisLink(unhurried(server))
    heat = a_heat(link, keys)
    server.kill()
    for _ in range(2):
        heat.used(ANNA)
    heat.cooled(CARA)
    flushing = asyncio.create_task(heat.flush())
    await asyncio.sleep(0)
    for name in (ANNA, ANNA, BERT, BERT, BERT):
        heat.used(name)  # while the others are on their way
    with pytest.raises(StoreUnavailable):
        await flushing
    server.start()
    await link.write(lambda client: client.zadd(keys.heat(), {"tenant/voice_cara": 1e12}))
    await heat.flush()
    assert await heat.hottest(10) == [ANNA, BERT]
    await link.close()
    server.close()


async def test_who_is_deleted_while_its_uses_are_on_their_way_in_vain_is_forgotten(keys: ServiceKeys) -> None:
    server = RedisServer()
    async with linked(unhurried(server)) as link:
        heat = a_heat(link, keys)
        heat.used(ANNA)
        heat.used(BERT)
        server.kill()
        flushing = asyncio.create_task(heat.flush())
        await asyncio.sleep(0)
        heat.cooled(ANNA)
        with pytest.raises(StoreUnavailable):
            await flushing
        server.start()
        await heat.flush()
        assert await heat.hottest(10) == [BERT]
    server.close()


class LosesACancellation(RedisHeat):
    """As the library does where its connections have a timeout, before Python 3.12."""

    lost = False

    async def flush(self) -> None:
        if not self.lost:
            try:
                await asyncio.Event().wait()
            except asyncio.CancelledError:
                self.lost = True


@in_virtual_time
async def test_it_ends_though_its_cancellation_was_lost() -> None:
    link = RedisLink(RedisSettings(url="redis://127.0.0.1:1"))
    heat = LosesACancellation(link, ServiceKeys("lost"), half_life_seconds=HALF_LIFE_SECONDS)
    await heat.start()
    await asyncio.sleep(heat_module.FLUSH_SECONDS + 1)
    await heat.stop()
    assert heat.lost


async def test_it_flushes_by_itself_and_once_more_at_the_end(
    link: RedisLink, keys: ServiceKeys, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(heat_module, "FLUSH_SECONDS", 0.001)
    heat = a_heat(link, keys)
    await heat.start()
    heat.used(ANNA)
    while not await heat.hottest(1):
        pass
    monkeypatch.setattr(heat_module, "FLUSH_SECONDS", 1000)
    heat.used(BERT)
    heat.used(BERT)
    await heat.stop()
    assert await heat.hottest(2) == [BERT, ANNA]
    await heat.stop()
