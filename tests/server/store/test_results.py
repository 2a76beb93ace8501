"""Finished speech on a real Redis, however that stands there."""

import asyncio
import contextlib
from collections.abc import AsyncIterator

import pytest

from tests.redis_server import RedisServer
from tests.server.store.registries import unhurried
from tests.server.store.results_conformance import (
    BUILT_IN,
    NAME,
    VOICE,
    Make,
    SharedResultsConformance,
    found,
    stored,
    token_of,
)
from timbre_contract.keys import ServiceKeys
from timbre_server.errors import StoreUnavailable
from timbre_server.ports import Standing, Taken
from timbre_server.settings import RedisSettings
from timbre_server.store.link import RedisLink
from timbre_server.store.results import RedisSharedResults

SHORT_SECONDS = 0.05
TTL_SECONDS = 1000


@pytest.fixture
async def make(link: RedisLink, keys: ServiceKeys) -> AsyncIterator[Make]:
    async with contextlib.AsyncExitStack() as closing:

        def made(*, lease_seconds: float = 30.0) -> RedisSharedResults:
            shared = shared_results(link, keys, lease_seconds=lease_seconds)
            closing.push_async_callback(shared.close)
            return shared

        yield made


def shared_results(link: RedisLink, keys: ServiceKeys, *, lease_seconds: float = 30.0) -> RedisSharedResults:
    return RedisSharedResults(link, keys, ttl_seconds=TTL_SECONDS, lease_seconds=lease_seconds)


class TestRedisSharedResults(SharedResultsConformance):
    """On every topology."""


async def test_speech_ends_a_fixed_time_after_it_was_stored(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    await stored(make(), NAME)
    await link.write(lambda client: client.expire(keys.result(NAME.key), 10))
    await found(make())
    await make().claim(NAME)
    assert await link.read(lambda client: client.ttl(keys.result(NAME.key))) <= 10


async def test_cache_and_lease_end_and_the_index_does_not(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    await stored(make(), NAME)
    await token_of(make(), BUILT_IN)
    lives = [
        await link.read(lambda client, key=key: client.pttl(key))
        for key in (keys.result(NAME.key), keys.result_lease(BUILT_IN.key), keys.results(VOICE))
    ]
    assert 0 < lives[0] <= TTL_SECONDS * 1000
    assert 0 < lives[1] <= 30_000
    assert lives[2] == -1


async def test_the_index_forgets_what_has_ended_and_goes_with_the_voice(
    make: Make, link: RedisLink, keys: ServiceKeys
) -> None:
    await link.write(lambda client: client.zadd(keys.results(VOICE), {"f" * 64: 1}))
    await stored(make(), NAME)
    assert await link.read(lambda client: client.zrange(keys.results(VOICE), 0, -1)) == [NAME.key.encode()]
    await make().erase(VOICE)
    assert not await link.read(lambda client: client.exists(keys.results(VOICE)))


async def test_a_built_in_voice_has_no_index(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    await stored(make(), BUILT_IN)
    assert not await link.read(lambda client: client.exists(keys.results("")))


async def test_a_name_is_in_the_index_before_its_speech_is_made(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    await token_of(make())
    assert await link.read(lambda client: client.zcard(keys.results(VOICE))) == 1


async def test_the_lease_of_a_dead_pod_goes_to_the_next(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    dead, living = make(lease_seconds=SHORT_SECONDS), make()
    old = await token_of(dead)
    while await link.read(lambda client: client.exists(keys.result_lease(NAME.key))):
        pass  # Redis says when it is over, so nobody sleeps
    new = await token_of(living)
    assert await dead.renew(NAME, old) is Standing.LOST
    assert not await dead.publish(NAME, b"late", old)
    await dead.abandon(NAME, old)
    assert await living.publish(NAME, b"speech", new)
    assert await found(living) == b"speech"


async def test_a_renewed_lease_lasts_longer(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    token = await token_of(make(lease_seconds=5))
    await make(lease_seconds=60).renew(NAME, token)
    assert await link.read(lambda client: client.ttl(keys.result_lease(NAME.key))) > 50


async def test_a_lease_that_never_ends_is_none(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    await link.write(lambda client: client.rpush(keys.result_lease(NAME.key), "whatever this is"))
    await stored(make(), NAME)
    assert await found(make()) == b"speech"


@pytest.mark.parametrize(
    ("resolution", "word"),
    [("publish", "result"), ("replace", "retake"), ("abandon", "result"), ("tell", "retake")],
)
async def test_every_end_of_a_claim_is_whispered(
    make: Make, link: RedisLink, keys: ServiceKeys, resolution: str, word: str
) -> None:
    shared = make()
    token = await token_of(shared)
    listener = link.dedicated(read_timeout_seconds=5)
    async with listener.pubsub(ignore_subscribe_messages=True) as whispers:
        await whispers.subscribe(keys.whisper())
        await whispers.get_message(timeout=5)  # the confirmation of the subscription
        if resolution == "abandon":
            await shared.abandon(NAME, token)
        elif resolution == "tell":
            await shared.retaken(NAME)
        else:
            await shared.publish(NAME, b"speech", token if resolution == "publish" else None)
        heard = None
        while heard is None:
            heard = await whispers.get_message(timeout=5)
        assert heard["data"] == f"{word} {NAME.key}".encode()
    await listener.aclose()


async def test_news_wake_who_waits_for_them(make: Make) -> None:
    await token_of(make())
    shared = make()
    assert isinstance(shared, RedisSharedResults)
    assert isinstance(await shared.claim(NAME), Taken)
    shared.heard(NAME.key)  # between the claim and the wait
    await asyncio.wait_for(shared.news(NAME, timeout_seconds=60), 1)


async def test_a_server_that_is_away_is_said_in_our_words(keys: ServiceKeys) -> None:
    server = RedisServer()
    server.close()
    link = RedisLink(RedisSettings(url=server.url))
    shared = shared_results(link, keys)
    for call in (
        shared.get(NAME),
        shared.claim(NAME),
        shared.publish(NAME, b"speech", "token"),
        shared.renew(NAME, "token"),
        shared.abandon(NAME, "token"),
        shared.retaken(NAME),
        shared.erase(VOICE),
    ):
        with pytest.raises(StoreUnavailable):
            await call
    assert shared._news._subjects == {}, "who asked in vain waits for nothing"
    await link.close()


async def test_a_server_without_room_is_as_good_as_away(keys: ServiceKeys) -> None:
    server = RedisServer("--maxmemory-policy", "noeviction")
    link = RedisLink(unhurried(server))
    shared = shared_results(link, keys)
    try:
        token = await token_of(shared)
        await link.write(lambda client: client.config_set("maxmemory", "1"))
        for call in (shared.publish(NAME, b"speech", token), shared.claim(BUILT_IN)):
            with pytest.raises(StoreUnavailable):
                await call
        assert await shared.abandon(NAME, token), "a lease can be given back without room"
    finally:
        await link.close()
        server.close()
