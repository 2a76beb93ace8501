"""Pods that are ready know of each other, on every topology."""

from __future__ import annotations

from timbre_contract.keys import ServiceKeys
from timbre_server.store.link import RedisLink
from timbre_server.store.readiness import BELIEVED_MILLISECONDS, RedisReadiness


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
