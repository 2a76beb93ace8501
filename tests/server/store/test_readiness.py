"""Pods that are ready know of each other, on every topology."""

from __future__ import annotations

from collections.abc import AsyncIterator

import pytest

from tests.server.store.registries import TOPOLOGIES, linked, redis_settings
from timbre_contract.keys import ServiceKeys
from timbre_server.store.link import RedisLink
from timbre_server.store.readiness import BELIEVED_MILLISECONDS, RedisReadiness


@pytest.fixture(params=TOPOLOGIES)
async def link(request: pytest.FixtureRequest) -> AsyncIterator[RedisLink]:
    async with linked(redis_settings(request.param, request)) as link:
        yield link


@pytest.fixture
def keys(scope: str) -> ServiceKeys:
    return ServiceKeys(scope)


async def test_a_pod_counts_for_the_others_and_not_for_itself(link: RedisLink, keys: ServiceKeys) -> None:
    a, b = (RedisReadiness(link, keys, pod=pod) for pod in "ab")
    assert await a.others() == 0
    await a.say()
    assert (await a.others(), await b.others()) == (0, 1)
    await b.say()
    await a.say()
    assert (await a.others(), await b.others()) == (1, 1)


async def test_who_leaves_does_not_count(link: RedisLink, keys: ServiceKeys) -> None:
    a, b = (RedisReadiness(link, keys, pod=pod) for pod in "ab")
    await a.say()
    await a.leave()
    await a.leave()
    assert await b.others() == 0


async def test_who_says_nothing_any_more_is_forgotten(link: RedisLink, keys: ServiceKeys) -> None:
    a, b = (RedisReadiness(link, keys, pod=pod) for pod in "ab")
    await link.write(lambda client: client.zadd(keys.ready(), {"dead": 1}))
    assert await b.others() == 0
    await a.say()
    assert await link.read(lambda client: client.zrange(keys.ready(), 0, -1)) == [b"a"]
    assert 0 < await link.read(lambda client: client.pttl(keys.ready())) <= BELIEVED_MILLISECONDS
