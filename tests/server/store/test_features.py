"""The shared tier on a real Redis: one lease per recording, fenced publications, erasure in one command."""

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable

import pytest

from tests.redis_server import RedisServer
from tests.server.store.registries import unhurried
from timbre_contract.keys import ServiceKeys
from timbre_server.errors import StoreUnavailable
from timbre_server.ports import Failed, Granted, Held, Taken
from timbre_server.settings import RedisSettings
from timbre_server.store.features import RedisSharedFeatures
from timbre_server.store.link import RedisLink

DIGEST, KEY = "d" * 64, "k" * 64
SHORT_SECONDS = 0.05
"""Long enough to see that something waits, short enough for a test."""


Make = Callable[..., RedisSharedFeatures]


@pytest.fixture
async def make(link: RedisLink, keys: ServiceKeys) -> AsyncIterator[Make]:
    """Makes the shared tier as one more pod sees it."""
    async with contextlib.AsyncExitStack() as closing:

        def made(**options: float) -> RedisSharedFeatures:
            shared = shared_features(link, keys, **options)
            closing.push_async_callback(shared.close)
            return shared

        yield made


def shared_features(link: RedisLink, keys: ServiceKeys, **options: float) -> RedisSharedFeatures:
    seconds = {"lease_seconds": 30.0, "failure_ttl_seconds": 30.0} | options
    return RedisSharedFeatures(link, keys, ttl_seconds=1000, **seconds)


async def token_of(shared: RedisSharedFeatures, key: str = KEY) -> str:
    granted = await shared.claim(DIGEST, key)
    assert isinstance(granted, Granted)
    return granted.token


async def lease_ends(link: RedisLink, keys: ServiceKeys) -> None:
    """Returns when the lease is gone by itself; Redis says when, so nobody sleeps."""
    while await link.read(lambda client: client.exists(keys.lease(DIGEST))):
        pass


async def test_what_was_published_is_found_by_its_key_only(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    shared = make()
    assert await shared.publish(DIGEST, KEY, b"blob", await token_of(shared))
    assert await shared.get(DIGEST, KEY) == b"blob"
    assert await shared.get(DIGEST, "another") is None
    assert await shared.get("another", KEY) is None


async def test_many_blobs_come_in_the_order_of_the_wish(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    shared = make()
    await shared.publish(DIGEST, KEY, b"blob", await token_of(shared))
    assert list(await shared.get_many([("absent", KEY), (DIGEST, KEY), (DIGEST, "absent")])) == [None, b"blob", None]


async def test_each_use_prolongs_the_life(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    shared = make()
    await shared.publish(DIGEST, KEY, b"blob", await token_of(shared))
    for use in (shared.get(DIGEST, KEY), shared.claim(DIGEST, KEY)):
        await link.write(lambda client: client.expire(keys.features(DIGEST), 10))
        await use
        assert await link.read(lambda client: client.ttl(keys.features(DIGEST))) > 900


async def test_only_one_pod_may_extract_at_a_time(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    pods = [make() for _ in range(10)]
    claims = await asyncio.gather(*(pod.claim(DIGEST, KEY) for pod in pods))
    assert sorted(type(claim).__name__ for claim in claims) == ["Granted"] + ["Taken"] * 9
    taken = next(claim for claim in claims if isinstance(claim, Taken))
    assert 25 < taken.expires_seconds <= 30


async def test_a_claim_on_what_is_there_gives_it(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    shared = make()
    await shared.publish(DIGEST, KEY, b"blob", await token_of(shared))
    assert await shared.claim(DIGEST, KEY) == Held(b"blob")


async def test_the_lease_of_a_dead_pod_goes_to_the_next(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    dead, living = make(lease_seconds=SHORT_SECONDS), make()
    old = await token_of(dead)
    await lease_ends(link, keys)
    new = await token_of(living)
    assert not await dead.renew(DIGEST, old)
    assert not await dead.publish(DIGEST, KEY, b"late", old)
    await dead.abandon(DIGEST, old)
    await dead.fail(DIGEST, KEY, Failed("code", "late"), old)
    assert await living.publish(DIGEST, KEY, b"blob", new)
    assert await living.get(DIGEST, KEY) == b"blob"


async def test_a_renewed_lease_lasts_longer(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    token = await token_of(make(lease_seconds=5))
    assert await make(lease_seconds=60).renew(DIGEST, token)
    assert await link.read(lambda client: client.ttl(keys.lease(DIGEST))) > 50


async def test_a_failure_is_told_to_all_for_a_moment(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    shared = make()
    failure = Failed("audio_too_short", "the recording is too short")
    await shared.fail(DIGEST, KEY, failure, await token_of(shared))
    assert await shared.claim(DIGEST, KEY) == failure
    assert 0 < await link.read(lambda client: client.pttl(keys.failure(DIGEST, KEY))) <= 30_000
    assert isinstance(await shared.claim(DIGEST, "of another encoder"), Granted)


async def test_a_failure_that_shall_not_be_remembered_ends_the_lease_only(
    make: Make, link: RedisLink, keys: ServiceKeys
) -> None:
    shared = make(failure_ttl_seconds=0)
    await shared.fail(DIGEST, KEY, Failed("code", "message"), await token_of(shared))
    assert isinstance(await shared.claim(DIGEST, KEY), Granted)


async def test_an_abandoned_lease_is_free(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    shared = make()
    await shared.abandon(DIGEST, await token_of(shared))
    assert isinstance(await shared.claim(DIGEST, KEY), Granted)


async def test_erasure_takes_every_encoders_features_and_counts_them(
    make: Make, link: RedisLink, keys: ServiceKeys
) -> None:
    shared = make()
    for key in ("old model", "new model"):
        await shared.publish(DIGEST, key, b"blob", await token_of(shared, key))
    assert await shared.erase(DIGEST) == 2
    assert await shared.get(DIGEST, "old model") is None
    assert await shared.erase(DIGEST) == 0


async def test_who_extracts_while_it_is_erased_cannot_publish(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    shared = make()
    token = await token_of(shared)
    await shared.erase(DIGEST)
    assert not await shared.publish(DIGEST, KEY, b"blob", token)
    assert await shared.get(DIGEST, KEY) is None


async def test_a_fifth_encoder_starts_anew(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    shared = make()
    for key in "abcd":
        await shared.publish(DIGEST, key, b"blob", await token_of(shared, key))
    await link.write(lambda client: client.hdel(keys.features(DIGEST), "d"))
    await shared.publish(DIGEST, "d", b"blob", await token_of(shared, "d"))
    assert await link.read(lambda client: client.hlen(keys.features(DIGEST))) == 4
    await shared.publish(DIGEST, "e", b"blob", await token_of(shared, "e"))
    assert await link.read(lambda client: client.hkeys(keys.features(DIGEST))) == [b"e"]


async def test_nothing_here_outlives_its_time(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    shared = make()
    await shared.publish(DIGEST, KEY, b"blob", await token_of(shared))
    await shared.fail(DIGEST, "b", Failed("code", "message"), await token_of(shared, "b"))
    await token_of(shared, "c")
    for key in (keys.features(DIGEST), keys.failure(DIGEST, "b"), keys.lease(DIGEST)):
        assert await link.read(lambda client, key=key: client.ttl(key)) > 0


@pytest.mark.parametrize("resolution", ["publish", "fail", "abandon", "erase"])
async def test_every_end_of_a_claim_is_whispered(
    make: Make, link: RedisLink, keys: ServiceKeys, resolution: str
) -> None:
    shared = make()
    token = await token_of(shared)
    listener = link.dedicated(read_timeout_seconds=5)
    async with listener.pubsub(ignore_subscribe_messages=True) as whispers:
        await whispers.subscribe(keys.whisper())
        await whispers.get_message(timeout=5)  # the confirmation of the subscription
        match resolution:
            case "publish":
                await shared.publish(DIGEST, KEY, b"blob", token)
            case "fail":
                await shared.fail(DIGEST, KEY, Failed("code", "message"), token)
            case "abandon":
                await shared.abandon(DIGEST, token)
            case _:
                await shared.erase(DIGEST)
        heard = None
        while heard is None:
            heard = await whispers.get_message(timeout=5)
        assert heard["data"] == f"features {DIGEST}".encode()
    await listener.aclose()


async def test_news_wake_who_waits(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    shared = make()
    waiting = asyncio.create_task(shared.news(DIGEST, timeout_seconds=60))
    await asyncio.sleep(0)
    shared.heard("another")
    assert not waiting.done()
    shared.heard(DIGEST)
    await waiting


async def test_news_between_a_claim_and_the_wait_are_not_missed(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    await token_of(make())
    shared = make()
    assert isinstance(await shared.claim(DIGEST, KEY), Taken)
    shared.heard(DIGEST)
    await asyncio.wait_for(shared.news(DIGEST, timeout_seconds=60), 1)


async def test_a_claim_that_failed_waits_for_nothing() -> None:
    server = RedisServer()
    server.close()
    link = RedisLink(RedisSettings(url=server.url))
    shared = shared_features(link, ServiceKeys("away"))
    for number in range(3):
        with pytest.raises(StoreUnavailable):
            await shared.claim(f"{number}" * 64, KEY)
    assert shared._news._subjects == {}
    await link.close()


async def test_without_news_the_wait_ends_by_itself(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    began = asyncio.get_running_loop().time()
    await make().news(DIGEST, timeout_seconds=SHORT_SECONDS)
    assert asyncio.get_running_loop().time() - began >= SHORT_SECONDS * 0.9


async def test_a_server_that_is_away_is_said_in_our_words(keys: ServiceKeys) -> None:
    server = RedisServer()
    server.close()
    link = RedisLink(RedisSettings(url=server.url))
    shared = shared_features(link, keys)
    for call in (
        shared.get(DIGEST, KEY),
        shared.get_many([(DIGEST, KEY)]),
        shared.claim(DIGEST, KEY),
        shared.publish(DIGEST, KEY, b"blob", "token"),
        shared.erase(DIGEST),
    ):
        with pytest.raises(StoreUnavailable):
            await call
    await link.close()


async def test_a_server_without_room_is_as_good_as_away(keys: ServiceKeys) -> None:
    server = RedisServer("--maxmemory-policy", "noeviction")
    link = RedisLink(unhurried(server))
    shared = shared_features(link, keys)
    try:
        token = await token_of(shared)
        await link.write(lambda client: client.config_set("maxmemory", "1"))
        for call in (
            shared.publish(DIGEST, KEY, b"blob", token),
            shared.fail(DIGEST, KEY, Failed("code", "message"), token),
            shared.claim("another", KEY),
        ):
            with pytest.raises(StoreUnavailable):
                await call
    finally:
        await link.close()
        server.close()


@pytest.mark.parametrize("text", ["\xff{", "[]", '{"code": "x"}', '{"code": 1, "message": 2}', "[" * 100_000])
async def test_a_failure_that_nobody_can_read_is_no_answer(
    make: Make, link: RedisLink, keys: ServiceKeys, text: str
) -> None:
    await link.write(lambda client: client.set(keys.failure(DIGEST, KEY), text.encode("latin-1"), ex=100))
    with pytest.raises(StoreUnavailable, match="cannot read"):
        await make().claim(DIGEST, KEY)


async def test_a_failure_of_a_newer_version_is_one_here_too(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    text = '{"code": "audio_too_short", "message": "Too short.", "since": 7}'
    await link.write(lambda client: client.set(keys.failure(DIGEST, KEY), text, ex=100))
    assert await make().claim(DIGEST, KEY) == Failed("audio_too_short", "Too short.")


async def test_a_lease_that_never_ends_is_none(make: Make, link: RedisLink, keys: ServiceKeys) -> None:
    await link.write(lambda client: client.rpush(keys.lease(DIGEST), "whatever this is"))
    assert await make().publish(DIGEST, KEY, b"features", await token_of(make()))
    assert await make().get(DIGEST, KEY) == b"features"
